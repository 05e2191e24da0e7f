"""A person is erased from everything, stays erased, and nobody else is harmed."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.erased import MARK
from tests.callbacks import RUN, new_run, sent
from tests.collector_process import CollectorProcess
from tests.erase.people import FIELD, NAME, PERSON, erase, jane, other, traces


def send_all(collector: CollectorProcess, run: str) -> None:
    for body in bodies(run):
        assert collector.send(body).status_code == 200


def bodies(run: str) -> list[bytes]:
    named = {"input": {FIELD: PERSON}, "custom_data": {"crm": NAME}}
    failed = {"error_label": "NO_RESULT", "message": f"{NAME} was not found", "status_code": 424}
    return [
        sent("c1", run=run, results=(other(1), jane(), other(2))),
        sent("c2", run=run, results=(other(3, mutual=[other(4), jane(), {"x": {"y": jane()}}]),)),
        sent("c3", run=run, results=(other(5),), **named),
        sent("c4", run=run, results=None, status="FAILED", row=None, error=failed, **named),
        sent("c1", run=run, results=(jane(headline="another body"),)),
        sent("c5", run=run, results=(other(6),), notes=[{"about": {FIELD: PERSON}}], row="row-6"),
    ]


def test_a_person_is_in_no_byte_afterwards_and_nobody_else_is_harmed(
    collector: CollectorProcess, database: Mapping[str, str]
) -> None:
    run = new_run()
    send_all(collector, run)
    collector.send(b'{"not": "a callback", "of": {"linkedin_profile_id": "%s"}}' % PERSON.encode())
    collector.send(b"linkedin_profile_id=%s&name=Jane" % PERSON.encode())
    collector.wait_until_projected()
    before = collector.get(f"runs/{run}")
    results = collector.pages(f"runs/{run}/results")
    erasure = erase(collector)
    assert traces(database, PERSON, NAME) == []
    assert erasure["counts"]["runs"] == 1
    assert erasure["counts"]["quarantined"] == 2
    assert PERSON not in str(erasure)
    after = collector.get(f"runs/{run}")
    assert after["counts"] == before["counts"]
    assert [one["result_id"] for one in collector.pages(f"runs/{run}/results")] == [
        one["result_id"] for one in results if one["data"].get(FIELD) != PERSON
    ]
    kept = {one["data"]["full_name"]: one for one in collector.pages(f"runs/{run}/results")}
    assert sorted(kept) == ["Other 1", "Other 2", "Other 3", "Other 5", "Other 6"]
    assert kept["Other 3"]["data"]["mutual"] == [other(4)]
    assert kept["Other 5"]["input"] is None
    assert MARK not in str(kept)
    csv = collector.http.get(f"/api/v1/runs/{run}/results?format=csv").text
    assert csv.count("\r\n") == 6
    assert MARK not in csv
    inputs = collector.pages(f"runs/{run}/inputs")
    assert MARK not in str(inputs)
    assert [one["error"]["label"] for one in inputs if one["error"]] == ["NO_RESULT"]


def test_a_person_stays_erased_whatever_comes_again(
    start_collector: Callable[..., CollectorProcess], database: Mapping[str, str]
) -> None:
    run = new_run()
    collector = start_collector()
    send_all(collector, run)
    collector.wait_until_projected()
    erase(collector)
    state = collector.get(f"runs/{run}")["counts"]
    statuses = [collector.send(body).json()["status"] for body in bodies(run)]
    assert statuses == ["duplicate"] * 4 + ["conflict", "duplicate"]
    late = new_run()
    collector.send(sent("late", run=late, results=(jane(), other(1))))
    collector.send(
        sent("escaped", run=late, results=None).replace(
            b'{"run"', b'{"results": [{"linkedin_\\u0070rofile_id": "%s"}], "run"' % PERSON.encode()
        )
    )
    collector.wait_until_projected()
    assert traces(database, PERSON, NAME) == []
    assert collector.get(f"runs/{run}")["counts"] == state | {"duplicates": 6}
    assert collector.get(f"runs/{late}")["counts"]["results"] == 3
    assert len(collector.pages(f"runs/{late}/results")) == 1
    collector.stop()
    collector = start_collector()
    collector.send(sent("later", run=late, results=(jane(),)))
    collector.wait_until_projected()
    assert traces(database, PERSON, NAME) == []


def test_while_callbacks_pour_in_none_slips_through(
    collector: CollectorProcess, database: Mapping[str, str]
) -> None:
    run = new_run()
    with ThreadPoolExecutor(4) as senders:
        sending = [
            senders.submit(collector.send, sent(f"c{n}", run=run, results=(jane(n=n), other(n))))
            for n in range(300)
        ]
        erase(collector)
        assert {one.result().status_code for one in sending} == {200}
    collector.wait_until_projected()
    assert traces(database, PERSON, NAME) == []
    assert collector.get(f"runs/{run}")["counts"]["results"] == 600
    assert len(collector.pages(f"runs/{run}/results", limit=1000)) == 300


def test_without_the_secret_that_knows_them_it_does_not_start(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    """Else they might come in again. With both secrets the key is sealed anew."""
    old, new = "first-secret-" * 4, "second-secret-" * 4
    collector = start_collector(env={"COLLECTOR_SECRET_KEY": old})
    erase(collector)
    collector.stop()
    with pytest.raises(AssertionError, match="people were erased, and the key"):
        start_collector(env={"COLLECTOR_SECRET_KEY": new})
    both = {"COLLECTOR_SECRET_KEY": new, "COLLECTOR_PREVIOUS_SECRET_KEYS": f'["{old}"]'}
    start_collector(env=both).stop()
    collector = start_collector(env={"COLLECTOR_SECRET_KEY": new})
    collector.send(sent("c1", results=(jane(),)))
    collector.wait_until_projected()
    assert collector.pages(f"runs/{RUN}/results") == []


@pytest.mark.parametrize("query", ["", "&shape=record", "&distinct_on=auto"])
def test_files_of_every_kind_leave_out_who_was_erased(
    shared_collector: CollectorProcess, query: str
) -> None:
    run, person = new_run(), new_run()
    gone = jane(linkedin_profile_id=person)
    shared_collector.send(sent("c1", run=run, results=(other(1), gone, other(2, mutual=[gone]))))
    shared_collector.wait_until_projected()
    asked = {"run_uid": [run], "format": "ndjson"}
    made = shared_collector.http.post("/api/v1/exports", json=asked)
    erase(shared_collector, person)
    for kind in ("ndjson", "json", "csv", "parquet"):
        answer = shared_collector.http.get(f"/api/v1/runs/{run}/results?format={kind}{query}")
        assert answer.status_code == 200, answer.text
        assert b"Other 1" in answer.content
        for text in (NAME, person, MARK):
            assert text.encode() not in answer.content
    assert shared_collector.http.get(made.headers["location"]).status_code == 404
