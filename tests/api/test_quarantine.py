"""The quarantine: listed, read, tried again, dropped."""

from collections.abc import Callable

import zstandard

from tests.callbacks import sent
from tests.collector_process import CollectorProcess
from tests.databases import replace_quarantined


def test_entries_are_listed_with_what_was_wrong(collector: CollectorProcess) -> None:
    for number in range(5):
        collector.send(f'{{"number": {number}}}'.encode())
    collector.send(b'{"number": 0}')
    rows = collector.pages("quarantine", limit=2)
    assert len(rows) == 5
    assert rows[0]["times_seen"] == 2
    assert rows[0]["reason"] == "not_a_callback"
    assert "keys seen: number" in rows[0]["detail"]
    assert rows[0]["body_bytes"] == len(b'{"number": 0}')


def test_entries_are_listed_the_other_way_round_and_looked_at_by_themselves(
    collector: CollectorProcess,
) -> None:
    for number in range(5):
        collector.send(f'{{"number": {number}}}'.encode())
    rows = collector.pages("quarantine")
    assert collector.pages("quarantine", newest_first="true", limit=2) == rows[::-1]
    assert collector.get(f"quarantine/{rows[3]['quarantine_id']}") == rows[3]
    assert collector.http.get("/api/v1/quarantine/none").status_code == 404
    cursor = collector.get("quarantine", limit=2)["next_cursor"]
    turned = collector.http.get(f"/api/v1/quarantine?newest_first=true&cursor={cursor}")
    assert turned.status_code == 400


def test_what_is_still_no_callback_stays(collector: CollectorProcess) -> None:
    entry = collector.send(b'{"still": "odd"}').json()["quarantine_id"]
    answer = collector.http.post(f"/api/v1/quarantine/{entry}/reprocess")
    assert answer.status_code == 409
    assert len(collector.pages("quarantine")) == 1


def test_what_is_a_callback_now_goes_into_the_log(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    """As after an upgrade that understands more: here the body in quarantine is made readable."""
    collector = start_collector()
    entry = collector.send(b'{"run": "not yet understood"}').json()["quarantine_id"]
    collector.stop()
    replace_quarantined(collector.env, zstandard.compress(sent("c1", run="recovered")))
    collector = start_collector()
    answer = collector.http.post(f"/api/v1/quarantine/{entry}/reprocess")
    assert answer.json() == {
        "status": "stored",
        "callback_ref_uid": "c1",
        "run_uid": "recovered",
    }
    collector.wait_until_projected()
    assert collector.get("runs/recovered")["counts"]["results"] == 1
    assert collector.pages("quarantine") == []


def test_an_entry_can_be_dropped(collector: CollectorProcess) -> None:
    entry = collector.send(b"[]").json()["quarantine_id"]
    assert collector.http.delete(f"/api/v1/quarantine/{entry}").status_code == 204
    assert collector.http.delete(f"/api/v1/quarantine/{entry}").status_code == 404
    assert collector.http.get(f"/api/v1/quarantine/{entry}/raw").status_code == 404
    assert collector.http.post(f"/api/v1/quarantine/{entry}/reprocess").status_code == 404
