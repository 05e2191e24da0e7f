"""A reader of a large download that stops reading costs nothing, and gets all of it at last."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.store.sqlite.driver import driver
from tests import databases
from tests.callbacks import new_run, sent
from tests.collector_process import CollectorProcess

CALLBACKS, RESULTS = 40, 500
MEMORY_MB_MAX = 20
"""Over what it had before; the file itself has 28 MB and more."""

SOON_S = 60
"""By then others have ended the transactions that they have open now; this reader has not."""


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_a_reader_that_stops_holds_neither_memory_nor_a_transaction(
    start_collector: Callable[..., CollectorProcess], form: str
) -> None:
    collector = start_collector()
    run = new_run()
    for number in range(CALLBACKS):
        results = tuple({"id": f"{number}-{place}", "x": "y" * 1_300} for place in range(RESULTS))
        assert collector.send(sent(f"c{number}", run=run, results=results)).status_code == 200
    collector.wait_until_projected()
    before_mb = resident_mb(collector)
    path = f"/api/v1/runs/{run}/results?format={form}"
    with collector.http.stream("GET", path, headers={"Accept-Encoding": "identity"}) as answer:
        pieces = answer.iter_bytes()
        received = next(pieces)
        for number in range(10):  # and it goes on receiving meanwhile
            later = sent(f"later-{number}", run=run, results=({"id": f"later-{number}"},))
            assert collector.send(later).status_code == 200
            time.sleep(0.1)
        assert resident_mb(collector) - before_mb < MEMORY_MB_MAX
        holds_no_transaction(collector)
        received += b"".join(pieces)
    assert len(received) > 25_000_000
    assert received.count(b"\n") == CALLBACKS * RESULTS + (form == "csv")
    assert b"later-" not in received  # it is a snapshot


def resident_mb(collector: CollectorProcess) -> float:
    status = Path(f"/proc/{collector.process.pid}/status").read_text("ascii")
    # Not VmRSS: of code that is loaded, ever more is mapped.
    (line,) = [line for line in status.splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) / 1024


def holds_no_transaction(collector: CollectorProcess) -> None:
    """Whether all that was written can be checkpointed, or vacuumed, now."""
    url = collector.env.get("COLLECTOR_DATABASE_URL", "")
    if url.startswith("postgresql"):
        query = (
            "SELECT pid, xact_start FROM pg_stat_activity WHERE state = 'idle in transaction'"
            " AND datname = current_database()"
        )
        held = set(map(tuple, databases.run(url, query)))
        until = time.monotonic() + SOON_S
        while held := held & set(map(tuple, databases.run(url, query))):
            assert time.monotonic() < until, held
            time.sleep(0.2)
        return
    path = collector.data_dir / "collector-projection.db"
    connection = driver.connect(path)
    until = time.monotonic() + SOON_S
    while True:  # the writer may be at it just now
        is_busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not is_busy or time.monotonic() > until:
            break
        time.sleep(0.1)
    connection.close()
    assert not is_busy
