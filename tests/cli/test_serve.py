"""`edges-collector serve`: what keeps it from starting is said, and ends it."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest


def serve(env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", "serve", "--port", "0"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **env},
    )


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("COLLECTOR_SMTP_URL", "https://secret@example.com", 1),
        ("COLLECTOR_ON_COMPLETED_COMMAND", "notify 'secret", 1),
        ("COLLECTOR_ON_COMPLETED_COMMAND", "", 1),
        ("COLLECTOR_PREVIOUS_SECRET_KEYS", "secret", 2),
    ],
)
def test_a_setting_that_cannot_be_used_ends_it(
    database: Mapping[str, str], name: str, value: str, code: int
) -> None:
    done = serve({**database, name: value})
    assert done.returncode == code
    assert name.removeprefix("COLLECTOR_").lower() in done.stderr.lower()
    assert "secret@" not in done.stderr
    assert "Traceback" not in done.stderr
