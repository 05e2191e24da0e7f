"""What every store must do: one suite, run against each. No text of a sender is too odd: see
`test_texts.py`; several replicas of one store: see `test_replicas.py`.
"""

import asyncio
import itertools
import json
import random
from collections import Counter

import pytest

from app.model import Arrival, Logged, Outcome, Quarantined
from app.store.database import Work
from app.store.protocol import Store
from app.store.segments import FRAME_BYTES_MAX
from app.store.views import RUN_SORTS, RunFilter
from tests.callbacks import sent
from tests.store.arrivals import arrival, project

STORED, DUPLICATE, CONFLICT = Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT

ODD_IDS = (
    "'; DROP TABLE runs; --",
    '"quoted" \\ %s %(x)s $1 ?1 {}',
    "a",
    "A",
    "\N{LATIN SMALL LETTER A WITH ACUTE}",
    "a\N{COMBINING ACUTE ACCENT}",
    " ",
    "\t\r\n\x01\x7f\ufffe",
    "日本語 \N{PARTY POPPER}",
    "x" * 200,
    "\N{PARTY POPPER}" * 200,
    "NULL",
    "0",
    "body:" + "0" * 32,
)


def read_all(work: Work, *, callbacks_max: int = 1_000) -> list[Logged]:
    """The whole log, run by run, as a worker reads it."""
    found: list[Logged] = []
    while (claim := work.projection.claim()) is not None:
        portion = work.log.read(claim, callbacks_max=callbacks_max, bytes_max=1_000_000)
        if portion.next_seq == claim.from_seq:
            break
        found += portion.callbacks
        assert work.projection.save([], claim, portion.next_seq)
    return found


# -------------------------------------------------------------------- counting once


def test_repeats_within_a_batch_and_across_are_told_apart(
    store: Store, runner: asyncio.Runner
) -> None:
    batch = [
        arrival("1"),
        arrival("2"),
        arrival("1", b'{ "a": 1 }'),
        arrival("1", b'{"a":2}'),
        arrival("1", run="other"),
    ]
    assert runner.run(store.append(batch)) == [STORED, STORED, DUPLICATE, CONFLICT, STORED]
    batch = [arrival("1", b'{"a":2}'), arrival("3"), arrival("2", b"[]"), arrival("2")]
    assert runner.run(store.append(batch)) == [CONFLICT, STORED, CONFLICT, DUPLICATE]


def test_a_repeat_may_be_spelled_differently(store: Store, runner: asyncio.Runner) -> None:
    first = '{"name": "Zoë", "n": [1, 2.50], "of": {"a": null, "b": true}}'
    others = (
        '{"of":{"b":true,"a":null},"n":[1,2.5],"name":"Zoë"}',
        '{"name": "Zo\\u00eb", "n": [1, 25e-1],\n "of": {"a": null, "b": true}}',
    )
    assert runner.run(store.append([arrival("1", first.encode())])) == [STORED]
    for other in others:
        assert runner.run(store.append([arrival("1", other.encode())])) == [DUPLICATE]
    differs = first.replace("2.50", "2.51").encode()
    assert runner.run(store.append([arrival("1", differs)])) == [CONFLICT]


def test_the_same_conflict_is_kept_once(store: Store, runner: asyncio.Runner, work: Work) -> None:
    other, respelled, third = b'{"a":2}', b'{ "a" : 2 }', b'{"a":3}'
    runner.run(store.append([arrival("1")]))
    batch = [arrival("1", other), arrival("1", respelled), arrival("1", third)]
    assert runner.run(store.append(batch)) == [CONFLICT] * 3
    assert runner.run(store.append([arrival("1", respelled)])) == [CONFLICT]
    assert runner.run(store.append([arrival("1", third), arrival("1", third)])) == [CONFLICT] * 2
    seqs = runner.run(store.seqs("run", "1"))
    bodies = [runner.run(store.reader.raw("run", seq)) for seq in seqs]
    assert bodies == [b'{"a":1}', other, third]
    logged = read_all(work)
    assert [(one.body, one.conflicts_with) for one in logged] == [
        (b'{"a":1}', None),
        (other, logged[0].seq),
        (third, logged[0].seq),
    ]


@pytest.mark.parametrize("seed", range(2))
def test_every_repeat_is_counted(
    store: Store, runner: asyncio.Runner, work: Work, seed: int
) -> None:
    rng = random.Random(seed)
    first: dict[tuple[str, str], int] = {}
    conflicts: set[tuple[str, str, int]] = set()
    duplicates: Counter[str] = Counter()
    for _ in range(40):
        batch, due = [], []
        for _ in range(rng.randrange(1, 8)):
            run, key = rng.choice(["r1", "r2"]), rng.choice("abcdefghi")
            value = rng.choice([1, 1, 1, 2, 3])
            body = {"run": {"run_uid": run}, "callback_ref_uid": key, "results": [{"n": value}]}
            spelled = json.dumps(body, indent=rng.choice([None, 1])).encode()
            batch.append(arrival(key, spelled, run))
            if (run, key) not in first:
                first[run, key] = value
                due.append(STORED)
            elif first[run, key] == value:
                duplicates[run] += 1
                due.append(DUPLICATE)
            else:
                duplicates[run] += (run, key, value) in conflicts
                conflicts.add((run, key, value))
                due.append(CONFLICT)
        assert runner.run(store.append(batch)) == due
    project(work)
    for run in ("r1", "r2"):
        view = runner.run(store.reader.run(run))
        assert view is not None
        assert view.duplicates == duplicates[run]
        assert view.callbacks == len([of_run for of_run, _ in first if of_run == run])
        assert view.conflicts == len([of_run for of_run, *_ in conflicts if of_run == run])


# ---------------------------------------------------------------- what the log holds


def test_the_log_reads_back_in_order_of_arrival(
    store: Store, runner: asyncio.Runner, work: Work
) -> None:
    rng = random.Random(5)
    sent_bodies: dict[str, list[tuple[str, bytes, int]]] = {"one": [], "other": []}
    for number in range(40):
        batch = [
            arrival(
                f"{number}-{place}",
                rng.randbytes(rng.randrange(1, 9_000)).hex().encode(),
                rng.choice([*sent_bodies]),
            )
            for place in range(rng.randrange(1, 20))
        ]
        for one in batch:
            sent_bodies[one.run_uid].append((one.key, one.body, one.received_ms))
        assert set(runner.run(store.append(batch))) == {STORED}
    assert work.log.size() == sum(map(len, sent_bodies.values()))
    found = read_all(work, callbacks_max=17)
    for run, expected in sent_bodies.items():
        of_run = [one for one in found if one.run.uid == run]
        assert [(one.key, one.body, one.received_ms) for one in of_run] == expected
        assert [one.seq for one in of_run] == sorted({one.seq for one in of_run})
        for logged in rng.sample(of_run, 5):
            assert work.log.callback(logged.run, logged.seq) == logged
            assert runner.run(store.seqs(run, logged.key)) == [logged.seq]
            assert runner.run(store.reader.raw(run, logged.seq)) == logged.body


def test_what_the_log_has_not_is_told(store: Store, runner: asyncio.Runner, work: Work) -> None:
    runner.run(store.append([arrival("1"), arrival("2", b"[]")]))
    (first, second) = read_all(work)
    assert runner.run(store.seqs("run", "3")) == runner.run(store.seqs("none", "1")) == []
    with pytest.raises(KeyError):
        runner.run(store.reader.raw("run", second.seq + 1))
    for run, seq in ((first.run, second.seq + 1), (first.run._replace(uid="another"), first.seq)):
        with pytest.raises(LookupError):
            work.log.callback(run, seq)


def test_bodies_of_any_size_come_back(store: Store, runner: asyncio.Runner, work: Work) -> None:
    rng = random.Random(7)
    bodies = [
        b"s",
        b"L" * (FRAME_BYTES_MAX * 3),
        b"s" * 10,
        b"",
        rng.randbytes(3_000_000),
        b"x" * (16 * 1024 * 1024),
        bytes(range(256)),
    ]
    batch = [arrival(str(place), body) for place, body in enumerate(bodies)]
    assert set(runner.run(store.append(batch))) == {STORED}
    found = read_all(work)
    assert [one.body == body for one, body in zip(found, bodies, strict=True)] == [True] * 7
    for one in found:
        assert runner.run(store.reader.raw("run", one.seq)) == one.body


def test_ids_are_kept_as_they_came(store: Store, runner: asyncio.Runner, work: Work) -> None:
    batch = [
        arrival(key, sent(key, run=run), run) for run, key in itertools.product(ODD_IDS, ODD_IDS)
    ]
    assert set(runner.run(store.append(batch))) == {STORED}
    assert set(runner.run(store.append(batch))) == {DUPLICATE}
    project(work)
    runs = runner.run(store.reader.runs_in_export_order(RunFilter(), after_uid=None, limit=100))
    assert [run.run_uid for run in runs] == sorted(ODD_IDS, key=str.encode)
    for run in runs:
        assert (run.callbacks, run.duplicates, run.results) == (len(ODD_IDS), len(ODD_IDS), 1)
        views = runner.run(store.reader.callbacks(run.run_uid, after_seq=0, limit=100))
        assert [view.callback_key for view in views] == list(ODD_IDS)
    for run_uid, key in zip(ODD_IDS, reversed(ODD_IDS), strict=True):
        (seq,) = runner.run(store.seqs(run_uid, key))
        assert runner.run(store.reader.raw(run_uid, seq)) == sent(key, run=run_uid)


def test_runs_of_the_same_moment_are_listed_once_each(
    store: Store, runner: asyncio.Runner, work: Work
) -> None:
    moments = itertools.cycle((1_000, 1_000, 1_000, 2_000))
    batch = [Arrival(run, "c", sent("c", run=run), next(moments)) for run in ODD_IDS]
    runner.run(store.append(batch))
    project(work)
    due = sorted((one.received_ms, one.run_uid.encode()) for one in batch)
    for sort in RUN_SORTS:
        found: list[tuple[int, bytes]] = []
        after: tuple[int, str] | None = None
        while page := runner.run(store.reader.runs(RunFilter(), sort=sort, after=after, limit=2)):
            found += [(run.first_received_ms, run.run_uid.encode()) for run in page]
            after = page[-1].first_received_ms, page[-1].run_uid
        assert found == (due[::-1] if sort.startswith("-") else due)


# ------------------------------------------------------------------------ quarantine


def test_the_same_bad_body_is_kept_once_and_counted(store: Store, runner: asyncio.Runner) -> None:
    def keep(quarantine_id: str, received_ms: int, body: bytes) -> str:
        item = Quarantined(quarantine_id, received_ms, "not_json", "why", "text/plain", body)
        return runner.run(store.quarantine(item))

    bad = bytes(range(256)) * 1_000
    assert keep("one", 5, bad) == "one"
    assert keep("two", 6, bad) == "one"
    assert keep("three", 7, b"worse") == "three"
    assert runner.run(store.reader.quarantine_size()) == 2
    found = runner.run(store.reader.quarantined_entry("one"))
    assert found is not None
    view, body = found
    assert (view.times_seen, view.received_ms, view.last_received_ms) == (2, 5, 6)
    assert (body, view.body_bytes) == (bad, len(bad))
    listed = runner.run(store.reader.quarantined(after="", limit=9))
    assert [(one.quarantine_id, one.times_seen) for one in listed] == [("one", 2), ("three", 1)]
    assert runner.run(store.reader.quarantined(after="one", limit=9)) == listed[1:]

    assert runner.run(store.release("one"))
    assert not runner.run(store.release("one"))
    assert runner.run(store.reader.quarantined_entry("one")) is None
    assert keep("four", 8, bad) == "four"


def test_quarantine_takes_any_text(store: Store, runner: asyncio.Runner) -> None:
    odd = "nul \0, quotes '\", \N{PARTY POPPER} " + "x" * 5_000
    assert runner.run(store.quarantine(Quarantined("1", 5, "not_json", odd, odd, b""))) == "1"
    (view,) = runner.run(store.reader.quarantined(after="", limit=9))
    assert view.detail.replace("\ufffd", "\0") == odd
    assert not runner.run(store.release("nul \0"))
