"""`edges-collector serve`: what keeps it from starting is said, and ends it."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.conftest import sqlite_only


def serve(env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", "serve", "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **env},
    )


@sqlite_only
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SMTP_URL", "https://secret@example.com", "COLLECTOR_SMTP_URL"),
        ("ON_COMPLETED_COMMAND", "notify 'secret", "COLLECTOR_ON_COMPLETED_COMMAND"),
        ("ON_COMPLETED_COMMAND", "", "COLLECTOR_ON_COMPLETED_COMMAND"),
        ("PREVIOUS_SECRET_KEYS", "secret", "previous_secret_keys"),
        ("SECRET_KEY", "short", "at least 16 characters"),
        ("DELIVERY_PAUSES_S", "[0]", "COLLECTOR_DELIVERY_PAUSES_S"),
        ("ALLOWED_ENDPOINT_NETWORKS", '["10.0.0.1/8"]', "COLLECTOR_ALLOWED_ENDPOINT_NETWORKS"),
        ("EDGES_BASE_URL", "ftp://edges", "EDGES_BASE_URL"),
    ],
)
def test_a_setting_that_cannot_be_used_ends_it(
    database: Mapping[str, str], name: str, value: str, said: str
) -> None:
    done = serve({**database, f"COLLECTOR_{name}": value})
    assert done.returncode in (1, 2)
    assert said.lower() in done.stderr.lower()
    assert "secret@" not in done.stderr
    assert "Traceback" not in done.stderr
