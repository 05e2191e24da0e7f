"""`edges-collector rebuild`: the same again, beside a running service or without one."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.callbacks import RUN, sent
from tests.collector_process import CollectorProcess


def rebuild(env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app", "rebuild", "--json"]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **env}
    )


def view(collector: CollectorProcess) -> tuple[Any, bytes, Any]:
    collector.wait_until_projected()
    download = collector.http.get(f"/api/v1/runs/{RUN}/results?format=ndjson")
    return collector.get(f"runs/{RUN}"), download.content, collector.pages(f"runs/{RUN}/inputs")


def test_a_rebuild_beside_a_running_service_changes_nothing(collector: CollectorProcess) -> None:
    for number in range(60):
        collector.send(sent(f"c{number}", row=f"row-{number % 20}", results=({"n": number},)))
    collector.send(sent("c1", row="row-1", results=({"n": 1}, {"n": 2})))
    before = view(collector)
    done = rebuild(collector.env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"callbacks": 61}
    assert view(collector) == before
    collector.send(sent("later", row="row-new", results=({"fresh_field": 1},)))
    after = view(collector)
    assert after[0]["counts"]["results"] == before[0]["counts"]["results"] + 1
    table = collector.http.get(f"/api/v1/runs/{RUN}/results?format=csv").text
    assert table.splitlines()[0].startswith("fresh_field,n,")


def test_without_a_log_there_is_nothing_to_rebuild(database: Mapping[str, str]) -> None:
    done = rebuild(database)
    assert done.returncode == 2
    assert "there is no log" in done.stderr
