"""What stores keep of schedules: one suite, run against each."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from app.project.projector import Projector
from app.settings import Settings
from app.store.database import Work, opened_for_rebuild
from app.store.protocol import LogUnavailableError, Store
from app.store.rows import ScheduleRow
from app.store.views import RunFilter, ScheduleFilter
from tests.callbacks import callback, encoded
from tests.conftest import postgres_only, sqlite_only
from tests.databases import run
from tests.store.arrivals import arrival, project
from tests.store.test_store import ODD_IDS


def row(
    uid: str,
    told_ms: int = 1_000,
    after: int | None = None,
    *,
    status: str = "ACTIVE",
    action: str | None = "an-action",
    record: str = "{}",
) -> ScheduleRow:
    return ScheduleRow(uid, status, action, record, f"[{told_ms}]", told_ms, after)


def of_schedule(run_uid: str, schedule: str | None) -> bytes:
    """A callback of a run that names its schedule."""
    body = callback(run=run_uid)
    if schedule is not None:
        body["run"]["scheduled_run_uid"] = schedule
    return encoded(body)


def test_what_was_told_last_is_kept_with_when_it_was_seen_first(
    store: Store, runner: asyncio.Runner
) -> None:
    first = row("one", 1_000, record='{"odd":"\\u0000 \N{PARTY POPPER}"}')
    assert runner.run(store.save_schedules([first, row("two", 1_000)])) == ["one", "two"]
    later = row("one", 2_000, 1_000, status="PAUSED", action=None)
    assert runner.run(store.save_schedules([later])) == ["one"]
    found = runner.run(store.reader.schedules_by_uid(["one", "two", "none"]))
    assert set(found) == {"one", "two"}
    view = found["one"]
    assert (view.status, view.action_name, view.phases) == ("PAUSED", None, "[2000]")
    assert (view.first_seen_ms, view.told_ms, view.judged_ms) == (1_000, 2_000, 1_000)
    assert found["two"].record == "{}"


def test_who_was_slower_changes_nothing(store: Store, runner: asyncio.Runner) -> None:
    runner.run(store.save_schedules([row("one", 1_000)]))
    late = [row("one", 1_500), row("one", 1_500, 900), row("two", 1_500)]
    assert runner.run(store.save_schedules(late)) == ["two"]
    (view, _) = runner.run(store.reader.schedules(ScheduleFilter(), after="", limit=9))
    assert view.told_ms == 1_000


def test_lists_page_by_uid_and_filter(store: Store, runner: asyncio.Runner) -> None:
    runner.run(
        store.save_schedules(
            [
                row(uid, status="PAUSED" if place % 2 else "ACTIVE", action=f"action-{place % 3}")
                for place, uid in enumerate(ODD_IDS)
            ]
        )
    )
    found: list[str] = []
    while page := runner.run(
        store.reader.schedules(ScheduleFilter(), after=found[-1] if found else "", limit=3)
    ):
        found += [view.uid for view in page]
    assert found == sorted(ODD_IDS, key=str.encode)
    chosen = ScheduleFilter(status="PAUSED", action_name="action-1")
    listed = runner.run(store.reader.schedules(chosen, after="", limit=99))
    assert {view.uid for view in listed} == {
        uid for place, uid in enumerate(ODD_IDS) if place % 2 and place % 3 == 1
    }
    assert runner.run(store.reader.schedules(ScheduleFilter("\0"), after="", limit=9)) == []


def test_a_missed_iteration_is_noted_by_one_alone(store: Store, runner: asyncio.Runner) -> None:
    runner.run(store.save_schedules([row("one", 1_000)]))

    async def judge(missed: list[int], from_ms: int, judged_ms: int) -> bool:
        return await store.judge_schedule(
            "one", missed, from_ms=from_ms, judged_ms=judged_ms, now_ms=9_000
        )

    assert runner.run(judge([1_100, 1_200], 1_000, 2_000))
    assert not runner.run(judge([1_300], 1_000, 2_000))
    assert runner.run(judge([], 2_000, 3_000))
    assert runner.run(judge([1_200, 3_500], 3_000, 4_000))
    noted = runner.run(store.reader.missed_iterations("one", from_ms=0, limit=9))
    assert noted == {1_100: 9_000, 1_200: 9_000, 3_500: 9_000}
    assert runner.run(store.reader.missed_iterations("one", from_ms=1_150, limit=1)) == {
        3_500: 9_000
    }
    assert runner.run(store.reader.schedules_by_uid(["one"]))["one"].judged_ms == 4_000
    assert not runner.run(store.judge_schedule("none", [1], from_ms=0, judged_ms=2, now_ms=9_000))


def test_a_turn_comes_once_in_its_time(
    open_store: Callable[[], Store], store: Store, runner: asyncio.Runner, settings: Settings
) -> None:
    assert runner.run(store.take_turn("a", 60))
    assert not runner.run(store.take_turn("a", 60))
    assert runner.run(store.take_turn("another", 60))
    assert runner.run(store.take_turn("a", 0))
    if settings.postgres_url is not None:
        others = [open_store() for _ in range(3)]

        async def all_at_once() -> list[bool]:
            return await asyncio.gather(*[one.take_turn("b", 60) for one in [store, *others]])

        assert sorted(runner.run(all_at_once())) == [False, False, False, True]


def test_a_turn_of_a_clock_that_was_set_back_is_taken_over(
    store: Store, runner: asyncio.Runner, settings: Settings
) -> None:
    assert runner.run(store.take_turn("a", 60))
    if settings.postgres_url is not None:
        run(settings.postgres_url, "UPDATE turns SET taken_at = now() + interval '1 hour'")
    else:
        transact = store._writer.transact  # type: ignore[attr-defined]
        thread = store._thread  # type: ignore[attr-defined]

        async def set_ahead() -> None:
            sql = "UPDATE turns SET taken_ms = taken_ms + 3600000"
            await thread.run(transact, lambda connection: connection.execute(sql))

        runner.run(set_ahead())
    assert runner.run(store.take_turn("a", 60))
    assert not runner.run(store.take_turn("a", 60))


def test_schedules_that_only_runs_name_are_found(
    store: Store, runner: asyncio.Runner, work: Work
) -> None:
    assert runner.run(store.reader.schedules_only_named(9)) == []
    named = ["s1", "s1", "s2", "S2", None, "s3", "s3"]
    for place, schedule in enumerate(named):
        body = of_schedule(f"run-{place}", schedule)
        runner.run(store.append([arrival("c", body, f"run-{place}")]))
    project(work)
    runner.run(store.save_schedules([row("s2")]))
    assert sorted(runner.run(store.reader.schedules_only_named(9))) == ["S2", "s1", "s3"]
    assert len(runner.run(store.reader.schedules_only_named(2))) == 2
    found = runner.run(
        store.reader.runs(RunFilter(scheduled_run_uid="s1"), sort="-created", after=None, limit=9)
    )
    assert [view.run_uid for view in found] == ["run-1", "run-0"]


def test_a_rebuild_leaves_schedules_alone(
    store: Store, runner: asyncio.Runner, work: Work, settings: Settings
) -> None:
    runner.run(store.append([arrival("c", of_schedule("run-1", "s1"), "run-1")]))
    project(work)
    runner.run(store.save_schedules([row("s1")]))
    with opened_for_rebuild(settings) as rebuild:
        projector = Projector(rebuild.log, rebuild.projection, settings.result_keys)
        while projector.project_batch():
            pass
        rebuild.replace()
    assert runner.run(store.reader.schedules_only_named(9)) == []
    assert set(runner.run(store.reader.schedules_by_uid(["s1"]))) == {"s1"}


def test_the_log_goes_on_after_a_change_that_failed(
    store: Store, runner: asyncio.Runner, settings: Settings
) -> None:
    bad = row("one")._replace(status=None)  # type: ignore[arg-type]
    with pytest.raises(LogUnavailableError, match=r"(?i)null"):
        runner.run(store.save_schedules([row("two"), bad]))
    assert runner.run(store.reader.schedules(ScheduleFilter(), after="", limit=9)) == []
    runner.run(store.append([arrival("c")]))
    assert runner.run(store.save_schedules([row("one")])) == ["one"]


# The plans of both: a schedule's runs, and the next schedule, each by the index.


@sqlite_only
def test_sqlite_finds_the_runs_of_a_schedule_by_its_index(
    store: Store, runner: asyncio.Runner
) -> None:
    seen: list[str] = []
    reader = store.reader
    rows_of = reader._rows

    async def explained(sql: str, *values: object) -> object:
        seen.extend(str(row[3]) for row in await rows_of(f"EXPLAIN QUERY PLAN {sql}", *values))
        return await rows_of(sql, *values)

    reader._rows = explained  # type: ignore[method-assign,assignment]
    chosen = RunFilter(scheduled_run_uid="s1", created_after_ms=5)
    for sort in ("created", "-created"):
        runner.run(reader.runs(chosen, sort=sort, after=None, limit=9))
    runner.run(reader.schedules_only_named(9))
    plans = "\n".join(seen)
    assert "SCAN r\n" not in plans
    assert "TEMP B-TREE" not in plans
    assert plans.count("INDEX runs_by_schedule") == 4


@postgres_only
def test_postgres_finds_the_runs_of_a_schedule_by_its_index(
    store: Store, runner: asyncio.Runner, database: Mapping[str, str]
) -> None:
    url = database["COLLECTOR_DATABASE_URL"]
    run(
        url,
        "INSERT INTO log_runs SELECT 'run-' || r, 2, 0, false FROM generate_series(1, 20000) r",
        "INSERT INTO projections (run_uid, next_seq) SELECT run_uid, 2 FROM log_runs",
        "INSERT INTO runs SELECT 'run-' || r, 'RUNNING', '[]', 'open', NULL, NULL,"
        " 's-' || r % 200, 1, 0, 1, 1, 0, 0, r, r, NULL FROM generate_series(1, 20000) r",
        "ANALYZE",
    )
    seen: list[str] = []
    reader = store.reader
    rows_of = reader._rows

    async def explained(sql: str, *values: object) -> object:
        seen.extend(str(row[0]) for row in await rows_of(f"EXPLAIN {sql}", *values))
        return await rows_of(sql, *values)

    reader._rows = explained  # type: ignore[method-assign,assignment]
    chosen = RunFilter(scheduled_run_uid="s-7", created_after_ms=5)
    found = runner.run(reader.runs(chosen, sort="-created", after=None, limit=9))
    assert len(found) == 9
    assert len(runner.run(reader.schedules_only_named(999))) == 200
    plans = "\n".join(seen)
    assert "Seq Scan on runs" not in plans
    assert plans.count("using runs_by_schedule") >= 2
