"""Several replicas and workers on one PostgreSQL: each callback once, each run at one worker."""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from app.model import Arrival, Outcome, Quarantined
from app.settings import Settings
from app.store.database import Work, opened_for_work
from app.store.protocol import Store
from tests.callbacks import sent
from tests.conftest import postgres_only
from tests.databases import run
from tests.store.arrivals import arrival, project

STORED, DUPLICATE, CONFLICT = Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT


@postgres_only
def test_a_callback_that_reaches_two_replicas_at_once_is_counted_once(
    open_store: Callable[[], Store], runner: asyncio.Runner, work: Work, store: Store
) -> None:
    rng = random.Random(11)
    other = open_store()
    stored: Counter[Outcome] = Counter()
    given: Counter[str] = Counter()

    async def send_both(batch: list[Arrival]) -> list[list[Outcome]]:
        again = rng.sample(batch, len(batch))
        answers = await asyncio.gather(store.append(batch), other.append(again))
        return [*answers]

    for number in range(60):
        batch = [
            arrival(f"{number}-{place}", sent(f"{number}-{place}", run=run_uid), run_uid)
            for place in range(rng.randrange(1, 30))
            for run_uid in ("r1", "r2")
        ]
        for outcomes in runner.run(send_both(batch)):
            assert set(outcomes) <= {STORED, DUPLICATE}
            stored.update(outcomes)
        given.update(one.run_uid for one in batch)
    project(work)
    assert stored == {STORED: given.total(), DUPLICATE: given.total()}
    for run_uid in ("r1", "r2"):
        view = runner.run(store.reader.run(run_uid))
        assert view is not None
        assert (view.callbacks, view.duplicates, view.conflicts) == (
            given[run_uid],
            given[run_uid],
            0,
        )


@postgres_only
def test_conflicts_that_reach_two_replicas_at_once_are_kept_once(
    open_store: Callable[[], Store], runner: asyncio.Runner, work: Work, store: Store
) -> None:
    other = open_store()
    bodies = [sent("c", run="r", results=({"n": number},)) for number in range(3)]

    async def send_both(key: str, mine: bytes, others: bytes) -> set[Outcome]:
        one, two = await asyncio.gather(
            store.append([arrival(key, mine, "r")]), other.append([arrival(key, others, "r")])
        )
        return {*one, *two}

    rounds = 40
    for number in range(rounds):
        key = f"c{number}"
        assert runner.run(send_both(key, bodies[0], bodies[1])) == {STORED, CONFLICT}
        assert runner.run(send_both(key, bodies[2], bodies[2])) == {CONFLICT}
        assert len(runner.run(store.seqs("r", key))) == 3
    project(work)
    view = runner.run(store.reader.run("r"))
    assert view is not None
    assert (view.callbacks, view.conflicts, view.duplicates) == (rounds, 2 * rounds, rounds)


@postgres_only
def test_a_bad_body_that_reaches_two_replicas_at_once_is_kept_once(
    open_store: Callable[[], Store], runner: asyncio.Runner, store: Store
) -> None:
    other = open_store()

    async def send_both(number: int) -> set[str]:
        body = b"bad %d" % number
        items = [Quarantined(f"{n}-{number}", n, "not_json", "", "", body) for n in range(2)]
        return {*await asyncio.gather(store.quarantine(items[0]), other.quarantine(items[1]))}

    for number in range(30):
        (kept,) = runner.run(send_both(number))
        found = runner.run(other.reader.quarantined_entry(kept))
        assert found is not None
        assert found[0].times_seen == 2
    assert runner.run(store.reader.quarantine_size()) == 30


@postgres_only
def test_two_workers_never_hold_the_same_run(
    settings: Settings, runner: asyncio.Runner, store: Store
) -> None:
    runs = [f"run-{number}" for number in range(12)]
    for number in range(25):
        runner.run(store.append([arrival(f"c{number}", sent(run=run), run) for run in runs]))
    held: set[str] = set()
    seen: Counter[tuple[str, int]] = Counter()
    faults: list[str] = []
    lock = threading.Lock()

    def project_slowly(name: str) -> None:
        with opened_for_work(settings, name) as work:
            idle = 0
            while idle < 20:
                claim = work.projection.claim()
                if claim is None or claim.run is None:
                    idle += 1
                    continue
                idle = 0
                with lock:
                    if claim.run.uid in held:
                        faults.append(f"{name} got {claim.run.uid}, which is held")
                    held.add(claim.run.uid)
                portion = work.log.read(claim, callbacks_max=3, bytes_max=10**6)
                with lock:
                    held.discard(claim.run.uid)
                    seen.update((claim.run.uid, one.seq) for one in portion.callbacks)
                if not work.projection.save([], claim, portion.next_seq):
                    faults.append(f"{name} lost {claim.run.uid}")

    workers = [threading.Thread(target=project_slowly, args=(name,)) for name in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert faults == []
    assert seen == {(run, seq): 1 for run in runs for seq in range(1, 26)}


@postgres_only
def test_what_a_worker_derived_under_a_lease_that_is_gone_is_not_written(
    settings: Settings, runner: asyncio.Runner, store: Store, database: Mapping[str, str]
) -> None:
    runner.run(store.append([arrival("c1", sent("c1", run="r"), "r")]))
    with ExitStack() as opened:
        slow = opened.enter_context(opened_for_work(settings, "slow"))
        quick = opened.enter_context(opened_for_work(settings, "quick"))
        claim = slow.projection.claim()
        assert claim is not None
        assert quick.projection.claim() is None
        run(
            database["COLLECTOR_DATABASE_URL"],
            "UPDATE projections SET leased_until = now() - interval '1 s'",
        )
        taken_over = quick.projection.claim()
        assert taken_over == claim
        assert not slow.projection.save([], claim, 2)
        assert quick.projection.save([], claim, 2)
        assert not slow.projection.save([], claim, 2)
