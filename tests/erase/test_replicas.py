"""Whatever replica a tombstone is asked of, all of them heed it."""

from collections.abc import Callable, Mapping

from tests.callbacks import new_run, sent
from tests.collector_process import CollectorProcess
from tests.conftest import postgres_only
from tests.erase.people import NAME, PERSON, erase, jane, other, traces, wait_until_erased


@postgres_only
def test_another_replica_knows_at_once(
    start_collector: Callable[..., CollectorProcess], database: Mapping[str, str]
) -> None:
    one, two = start_collector(), start_collector()
    run, gone = new_run(), new_run()
    one.send(sent("c1", run=run, results=(jane(), other(1))))
    two.send(sent("c1", run=gone))
    one.wait_until_projected()
    erasure_id = one.http.delete(f"/api/v1/runs/{gone}").json()["erasure_id"]
    assert two.send(sent("c2", run=gone)).json()["status"] == "duplicate"
    erase(one)
    assert two.send(sent("c1", run=run, results=(jane(), other(1)))).json()["status"] == "duplicate"
    two.send(sent("c2", run=run, results=(jane(),)))
    two.send(b'{"linkedin_profile_id": "%s"}' % PERSON.encode())
    wait_until_erased(two, erasure_id)
    two.wait_until_projected()
    assert traces(database, PERSON, NAME) == []
    assert two.get(f"runs/{run}")["counts"]["results"] == 3
    assert two.http.post(f"/api/v1/erasures/{erasure_id}/lift").status_code == 200
    assert one.send(sent("c2", run=gone)).json()["status"] == "stored"
