"""`edges-collector serve` with settings that cannot work: it says so, and ends."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.conftest import sqlite_only


@sqlite_only
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SMTP_URL", "http://mail", "an SMTP URL is smtp://"),
        ("ON_COMPLETED_COMMAND", "'", "this is no command"),
        ("SECRET_KEY", "short", "at least 16 characters"),
        ("DELIVERY_PAUSES_S", "[0]", "COLLECTOR_DELIVERY_PAUSES_S"),
        ("ALLOWED_ENDPOINT_NETWORKS", '["10.0.0.1/8"]', "COLLECTOR_ALLOWED_ENDPOINT_NETWORKS"),
        ("EDGES_BASE_URL", "ftp://edges", "EDGES_BASE_URL"),
    ],
)
def test_what_cannot_work_ends_it_at_once(
    database: Mapping[str, str], name: str, value: str, said: str
) -> None:
    env = {**os.environ, **database, "COLLECTOR_PORT": "0", f"COLLECTOR_{name}": value}
    ended = subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        capture_output=True,
        text=True,
        timeout=30,
        env=env,
        check=False,
    )
    assert ended.returncode in (1, 2), ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
