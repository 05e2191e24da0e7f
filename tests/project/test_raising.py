"""Events: each once for each cause, whatever restarts, rebuilds and relays come in between."""

import asyncio
import json
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.event import Event
from app.model import Arrival, Source
from app.project.projector import Projector, projector_of
from app.project.raising import NOT_KNOWN, SAID_TO_BE_DELIVERED
from app.project.rebuild import rebuild
from app.settings import Settings
from app.store.database import opened_for_rebuild, opened_for_work
from app.store.views import RunFilter, RunView
from tests.callbacks import callback
from tests.databases import fresh_database, postgres
from tests.project.test_merge import a_callback, arrival, open_store, project, spelled
from tests.project.test_telling import PROFILE, RUN, a_telling, answer
from tests.soak import examples
from tests.store.told import to_nobody

if TYPE_CHECKING:
    from app.store.protocol import Store

AT_MS = 1_900_000_000_000
ROW = {
    "input_data": {"linkedin_profile_url": "https://www.linkedin.com/in/row-1"},
    "custom_data": {"row_id": "row-1", "list": "leads"},
}


class World:
    """A store with its worker, in this process."""

    def __init__(self, configured: Settings, runner: asyncio.Runner) -> None:
        self._configured = configured
        self._runner = runner
        self._working = ExitStack()
        self.store: Store
        self._projector: Projector
        self.ever_told: list[Event] = []
        self.start()

    def start(self) -> None:
        self.store = open_store(self._runner, self._configured)
        work = self._working.enter_context(opened_for_work(self._configured, "worker"))
        self._projector = projector_of(work, self._configured)

    def stop(self) -> None:
        self._working.close()
        self._runner.run(self.store.close())

    def log(self, *entries: bytes | Arrival) -> None:
        self._runner.run(self.store.append([arrival(entry) for entry in entries]))

    def project(self) -> None:
        project(self._projector)

    def relay(self) -> None:
        is_all = False
        while not is_all:
            relayed = self._runner.run(self.store.outbox.relay(to_nobody, AT_MS))
            self.ever_told += [one for _, one in relayed.events]
            is_all = relayed.is_all

    def rebuild(self) -> None:
        with opened_for_rebuild(self._configured) as again:
            rebuild(again, self._configured, lambda done, total: None)

    def prune(self) -> None:
        self._runner.run(self.store.outbox.prune(2 * AT_MS, limit=10_000))

    def events(self) -> list[Event]:
        self.relay()
        numbered = self._runner.run(self.store.reader.events(after_no=0, limit=10_000))
        assert [no for no, _ in numbered] == sorted({no for no, _ in numbered})
        return [one for _, one in numbered]

    def told(self, *entries: bytes | Arrival) -> list[Event]:
        """The events that entries raise, each projected by itself."""
        before = len(self.events())
        for entry in entries:
            self.log(entry)
            self.project()
        return self.events()[before:]

    def runs(self) -> list[RunView]:
        return self._runner.run(
            self.store.reader.runs(RunFilter(), sort="created", after=None, limit=100)
        )


class Opened:
    """A world, and what is to be undone after it."""

    def __init__(self, kind: str, **env: str) -> None:
        self._stack = ExitStack()
        enter = self._stack.enter_context
        folder = Path(enter(tempfile.TemporaryDirectory()))
        database = enter(fresh_database(kind, folder))
        patch = enter(pytest.MonkeyPatch.context())
        for name, value in (database | env).items():
            patch.setenv(name, value)
        self._world = World(Settings(), enter(asyncio.Runner()))

    def __enter__(self) -> World:
        return self._world

    def __exit__(self, *_: object) -> None:
        self._world.stop()
        self._stack.close()


@st.composite
def a_history(draw: st.DrawFn) -> tuple[list[list[bytes | Arrival]], int]:
    callbacks = draw(st.lists(a_callback(), min_size=2, max_size=8))
    answers, _ = draw(a_telling())
    entries: list[bytes | Arrival] = [spelled(body, 0) for body in callbacks]
    order = draw(st.permutations([*entries, *entries[:2], *answers]))
    batches: list[list[bytes | Arrival]] = [[]]
    for entry in order:
        batches[-1].append(entry)
        if draw(st.booleans()):
            batches.append([])
    return batches, draw(st.integers(0, 2**16))


def history_told(kind: str, batches: Sequence[Sequence[bytes | Arrival]], seed: int) -> None:
    """Play a history with restarts, rebuilds and relays in between; see what was told."""
    rng = random.Random(seed)
    with Opened(kind) as world:
        for batch in batches:
            if batch:
                world.log(*batch)
            if rng.random() < 0.6:
                world.project()
            if rng.random() < 0.4:
                world.relay()
            if rng.random() < 0.2:
                world.stop()
                world.start()
            if rng.random() < 0.3:
                world.rebuild()
        world.project()
        world.relay()
        told = list(world.ever_told)
        due_are_told(world.runs(), told)
        world.prune()  # what is forgotten is not told again either
        world.rebuild()
        world.project()
        assert world.events() == []
        assert world.ever_told == told


def due_are_told(runs: Sequence[RunView], events: Sequence[Event]) -> None:
    """Whatever follows from how runs stand was told, once; and started comes first."""
    assert len({one.event_id for one in events}) == len(events)
    for run in runs:
        told = [one for one in events if one.run_uid == run.run_uid]
        types = Counter(one.type for one in told)
        assert told[0].type == "run.started"
        assert types["run.started"] == 1
        if run.finished_ms is not None and run.told is None:
            assert types[f"run.{run.status.lower()}"] == 1 or run.status == "ODD"
        if run.completeness == "complete":
            assert types["run.completed"] >= 1
        last = [one for one in told if one.type.startswith("run.")][-1]
        assert json.loads(last.data)["run_uid"] == run.run_uid
        failed = [one for one in told if one.type == "input.failed"]
        assert len(failed) >= run.inputs_failed


@settings(max_examples=examples(15), **PROFILE)
@given(a_history())
def test_each_cause_is_told_once_and_a_rebuild_tells_nothing_again(
    history: tuple[list[list[bytes | Arrival]], int],
) -> None:
    history_told("sqlite", *history)


@settings(max_examples=examples(5), **PROFILE)
@given(a_history())
def test_so_it_is_on_the_other_store(history: tuple[list[list[bytes | Arrival]], int]) -> None:
    postgres()
    history_told("postgres", *history)


def told_of_the_tail(kind: str, history: Any, *, is_rebuilt: bool) -> list[str]:
    """What the later half of a history tells after the first: live, or by a rebuild."""
    entries = [entry for batch in history[0] for entry in batch]
    middle = len(entries) // 2
    with Opened(kind) as world:
        world.log(*entries[:middle])
        world.project()
        world.relay()
        already = len(world.ever_told)
        world.prune()
        world.log(*entries[middle:])
        if is_rebuilt:
            world.rebuild()
        world.project()
        world.relay()
        return sorted(one.event_id for one in world.ever_told[already:])


@settings(max_examples=examples(8), **PROFILE)
@given(a_history())
def test_a_rebuild_tells_what_was_not_derived_yet_and_nothing_else(history: Any) -> None:
    live = told_of_the_tail("sqlite", history, is_rebuilt=False)
    assert told_of_the_tail("sqlite", history, is_rebuilt=True) == live


@settings(max_examples=examples(4), **PROFILE)
@given(a_history())
def test_so_does_one_on_the_other_store(history: Any) -> None:
    postgres()
    live = told_of_the_tail("postgres", history, is_rebuilt=False)
    assert told_of_the_tail("postgres", history, is_rebuilt=True) == live


# --------------------------------------------------------------- the life of a run


def run_is(status: str, count: int | None, told_ms: int) -> Arrival:
    value = {"status": status, "output_count": count, "action_name": "an-action"}
    return answer(f"run-{told_ms}", Source.RUN, value, told_ms)


def inputs_are(*statuses: str, at_ms: int) -> Arrival:
    rows = [
        {
            "uid": f"uid-{place}",
            "input_data": {"linkedin_profile_url": f"https://www.linkedin.com/in/row-{place}"},
            "custom_data": {"row_id": f"row-{place}", "list": "leads"},
            "status": status,
            "last_error": {"has_failed": True, "label": "NO_RESULT"}
            if status == "FAILED"
            else None,
            "output_count": 1 if status == "SUCCEEDED" else 0,
        }
        for place, status in enumerate(statuses)
    ]
    return answer(f"inputs-{at_ms}", Source.INPUTS, rows, at_ms, walk=f"i-{at_ms}", began_ms=at_ms)


def outputs_are(*results: Any, at_ms: int) -> Arrival:
    return answer(
        f"outputs-{at_ms}", Source.OUTPUTS, list(results), at_ms, walk=f"o-{at_ms}", began_ms=at_ms
    )


def callbacks_are(*statuses: int | None, at_ms: int) -> Arrival:
    rows = [
        {
            "uid": f"callback-{place}",
            "status": "SUCCESS" if status == 200 else "FAILED",
            "http_status": status,
            "error": None if status else "time-out",
        }
        for place, status in enumerate(statuses)
    ]
    return answer(
        f"callbacks-{at_ms}", Source.CALLBACKS, rows, at_ms, walk=f"c-{at_ms}", began_ms=at_ms
    )


def came(ref: str, row: int, *results: Any, status: str = "RUNNING", error: Any = None) -> bytes:
    body = callback(ref, run=RUN, row=f"row-{row}", results=results, status=status, error=error)
    return spelled(body, 0)


def types(events: Sequence[Event]) -> list[str]:
    return [one.type for one in events]


WITH_KEY = {"COLLECTOR_EDGES_API_KEY": "a-key"}


def test_a_run_is_over_when_edges_says_so_and_complete_when_it_is_proven() -> None:
    with Opened("sqlite", **WITH_KEY) as world:
        assert types(world.told(came("c0", 0, {"id": 1}))) == ["run.started"]
        assert not world.told(came("c1", 1, {"id": 2}, status="SUCCEEDED"))
        assert types(world.told(run_is("SUCCEEDED", 2, AT_MS))) == ["run.succeeded"]
        (told,) = world.told(inputs_are("SUCCEEDED", "SUCCEEDED", at_ms=AT_MS + 1))
        assert told.type == "run.completed"
        data = json.loads(told.data)
        assert (data["status"], data["completeness"]) == ("SUCCEEDED", "complete")
        assert data["counts"]["results"] == data["counts"]["expected_results"] == 2
        assert (told.action_name, told.subject) == ("an-action", RUN)
        assert not world.told(run_is("SUCCEEDED", 2, AT_MS + 5))


def test_without_a_key_callbacks_are_taken_at_their_word() -> None:
    with Opened("sqlite") as world:
        told = world.told(came("c0", 0, {"id": 1}, status="SUCCEEDED"))
        assert types(told) == ["run.started", "run.succeeded"]
        assert types(world.told(came("c1", 1, status="FAILED", error={"label": "X"}))) == [
            "input.failed",
            "run.partial_succeeded",
        ]


def test_failed_inputs_are_told_once_by_callback_or_list() -> None:
    with Opened("sqlite", **WITH_KEY) as world:
        error = {"error_label": "NO_RESULT", "message": "nobody"}
        told = world.told(came("c0", 0, status="FAILED", error=error))
        assert types(told) == ["run.started", "input.failed"]
        data = json.loads(told[1].data)
        assert data["run_uid"] == RUN
        assert data["input"]["error"]["label"] == "NO_RESULT"
        assert data["input"]["custom_data"]["row_id"] == "row-0"
        told = world.told(inputs_are("FAILED", "FAILED", "STOPPED", at_ms=AT_MS))
        assert types(told) == ["input.failed"]
        assert json.loads(told[0].data)["input"]["input_uid"] == "uid-1"
        # Continued, it fails again: that is news.
        world.told(inputs_are("SCHEDULED", "SCHEDULED", "STOPPED", at_ms=AT_MS + 10))
        told = world.told(
            run_is("RUNNING", 0, AT_MS + 1),
            answer("act", Source.ACT, {}, AT_MS + 15, act="continue"),
            run_is("RUNNING", 0, AT_MS + 20),
            inputs_are("FAILED", "SUCCEEDED", "STOPPED", at_ms=AT_MS + 21),
        )
        assert "input.failed" in types(told)


def test_an_input_that_is_very_long_is_left_out_of_its_event() -> None:
    body = callback("c0", run=RUN, row="r" * 70_000, status="FAILED", error={"label": "NO_RESULT"})
    with Opened("sqlite") as world:
        told = {one.type: json.loads(one.data) for one in world.told(spelled(body, 0))}
        failed = told["input.failed"]["input"]
        assert failed["error"]["label"] == "NO_RESULT"
        assert (failed["input"], failed["custom_data"]) == (None, None)
        assert failed["left_out_characters"] > 140_000


@pytest.mark.parametrize(
    ("recorded", "causes"),
    [
        ((200, 503, 503, None), ["refused with HTTP status 503", "time-out"]),
        ((200, 200), [SAID_TO_BE_DELIVERED]),
        (None, [NOT_KNOWN]),
    ],
)
def test_lost_callbacks_are_told_once_for_each_cause(
    recorded: tuple[int | None, ...] | None, causes: list[str]
) -> None:
    with Opened("sqlite", **WITH_KEY) as world:
        world.told(
            came("c0", 0, {"id": 1}),
            run_is("SUCCEEDED", 2, AT_MS),
            inputs_are("SUCCEEDED", "SUCCEEDED", at_ms=AT_MS + 1),
        )
        entries = [outputs_are({"id": 1}, {"id": 2}, at_ms=AT_MS + 3)]
        if recorded is not None:
            entries.insert(0, callbacks_are(*recorded, at_ms=AT_MS + 2))
        told = world.told(*entries)
        lost = [json.loads(one.data) for one in told if one.type == "callbacks.lost"]
        assert [one["cause"] for one in lost] == causes
        assert all(one["run_uid"] == RUN and one["inputs"] == 1 for one in lost)
        assert types(told)[-1] == "run.completed"
        assert not world.told(outputs_are({"id": 1}, {"id": 2}, at_ms=AT_MS + 30))


def test_incomplete_is_told_once_no_more_is_to_be_had_and_complete_after_it() -> None:
    with Opened("sqlite", **WITH_KEY) as world:
        world.told(came("c0", 0, {"id": 1}), run_is("SUCCEEDED", 3, AT_MS))
        assert not world.told(inputs_are("SUCCEEDED", "SUCCEEDED", at_ms=AT_MS + 1))
        told = world.told(outputs_are({"id": 1}, {"id": 2}, at_ms=AT_MS + 2))
        assert types(told) == ["callbacks.lost", "run.incomplete"]
        assert json.loads(told[-1].data)["missing"]["results"] == 1
        assert not world.told(outputs_are({"id": 1}, {"id": 2}, at_ms=AT_MS + 20))
        assert types(world.told(came("c1", 1, {"id": 3}))) == ["run.completed"]


def test_a_run_that_comes_back_ends_again() -> None:
    with Opened("sqlite", **WITH_KEY) as world:
        world.told(came("c0", 0, {"id": 1}))
        assert types(world.told(run_is("STOPPED", 1, AT_MS))) == ["run.stopped"]
        told = world.told(
            answer("act", Source.ACT, {}, AT_MS + 5, act="resume"),
            run_is("RUNNING", 1, AT_MS + 6),
            run_is("STOPPED", 1, AT_MS + 7),
            run_is("STOPPED", 1, AT_MS + 8),
        )
        assert types(told) == ["run.stopped"]
        told = world.told(
            answer("again", Source.ACT, {}, AT_MS + 15, act="continue"),
            run_is("SUCCEEDED", 1, AT_MS + 17),
        )
        assert types(told) == ["run.succeeded"]


def test_a_conflict_is_told() -> None:
    with Opened("sqlite") as world:
        told = world.told(came("c0", 0, {"id": 1}), came("c0", 0, {"id": 2}), came("c0", 0))
        assert types(told) == ["run.started", "callback.conflict", "callback.conflict"]
        assert json.loads(told[1].data)["callback_ref_uid"] == "c0"


@pytest.mark.parametrize("comes_last", ["callback", "outputs"])
def test_what_failed_and_what_is_said_to_be_delivered_are_two_causes(comes_last: str) -> None:
    def replayed(value: Any, at_ms: int) -> Arrival:
        key = f"replay-{at_ms}"
        return answer(key, Source.ACT, value, at_ms, act="replay", callback_uid="callback-1")

    with Opened("sqlite", **WITH_KEY) as world:
        world.told(
            came("c0", 0, {"id": 1}),
            run_is("SUCCEEDED", 3, AT_MS),
            inputs_are("SUCCEEDED", "SUCCEEDED", at_ms=AT_MS + 1),
            callbacks_are(200, 503, at_ms=AT_MS + 2),
            replayed(None, AT_MS + 3),
            replayed({"uid": "again", "parent_uid": "callback-1"}, AT_MS + 4),
        )
        rest: list[bytes | Arrival] = [
            came("again", 1, {"id": 2}),
            outputs_are({"id": 1}, {"id": 2}, {"id": 3}, at_ms=AT_MS + 5),
        ]
        told = world.told(*(rest if comes_last == "outputs" else rest[::-1]))
        causes = [json.loads(one.data)["cause"] for one in told if one.type == "callbacks.lost"]
        assert causes == [SAID_TO_BE_DELIVERED, "refused with HTTP status 503"] or (
            # Before the one that failed came again, nothing could be said of others.
            comes_last == "callback"
            and causes == ["refused with HTTP status 503", SAID_TO_BE_DELIVERED]
        )
