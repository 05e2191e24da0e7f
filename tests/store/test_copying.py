"""Copying SQLite to PostgreSQL: all of it, once, from where it was cut off, and proven."""

import asyncio
import contextlib
import random
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.event import Event
from app.model import Arrival, Outcome, Quarantined
from app.project.projector import Projector
from app.settings import Settings
from app.store import copying, verifying
from app.store.api_keys import COLUMNS, ApiKeyRow
from app.store.copying import CopyRefusedError, copy_log
from app.store.database import opened_for_copy, opened_for_work, store_of
from app.store.kept_outbox import TABLES
from app.store.postgres.target import PostgresTarget
from app.store.protocol import NoLogError, SchemaError
from app.store.rows import ScheduleRow
from app.store.segments import FRAME_BYTES_MAX
from app.store.sqlite import schedules
from app.store.sqlite.driver import connect_writer
from app.store.sqlite.log import SqliteLogWriter
from app.store.sqlite.source import SqliteSource
from app.store.verifying import Verdict, verify_derived, verify_log
from app.store.views import ScheduleFilter
from tests.callbacks import sent
from tests.databases import fresh_postgres, postgres, run
from tests.project.test_merge import RESULT_KEYS, a_callback, a_history, arrival, exported
from tests.soak import examples
from tests.store.telling import begin_telling, causes, change, deliver, served, told

RUNS = ("run-a", "run-b", "run-c")


@pytest.fixture
def source(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=f"sqlite:///{tmp_path}/collector.db")


@pytest.fixture
def target() -> Iterator[Settings]:
    with fresh_postgres() as url:
        yield Settings(database_url=url)


def some_arrivals(seed: int, count: int = 60) -> list[Arrival]:
    """Runs in turn, with repeats, conflicts, bodies without an id, and a large one."""
    rng = random.Random(seed)
    bodies = []
    for number in range(count):
        ref = None if number % 11 == 0 else f"c{seed}-{number}"
        pad = "x" * (FRAME_BYTES_MAX * 4 if number == 7 else rng.randrange(3_000))
        body = sent(
            ref, run=rng.choice(RUNS), row=f"r{number % 9}", results=({"n": number},), p=pad
        )
        bodies.append(body)
        if rng.random() < 0.2:
            bodies.append(rng.choice(bodies))
        if rng.random() < 0.2 and ref is not None:
            bodies.append(body.replace(b'"n": ', b'"n": 1'))
    return [arrival(body) for body in bodies]


def append(source: Settings, arrivals: Sequence[Arrival], bad: Sequence[str] = ()) -> None:
    """Log `arrivals` in batches, quarantine `bad`, and project it all."""
    source.log_path.parent.mkdir(exist_ok=True, parents=True)
    writer = SqliteLogWriter(source.log_path)
    for start in range(0, len(arrivals), 7):
        writer.append(arrivals[start : start + 7])
    for place, text in enumerate(bad):
        writer.quarantine(
            Quarantined(f"q-{text}", place, "not_json", f"why\0{text}", "text/x", text.encode())
        )
    writer.close()
    with opened_for_work(source, "worker") as work:
        projector = Projector(work.log, work.projection, RESULT_KEYS)
        while projector.project_batch():
            pass


def note_schedules(source: Settings, told_ms: int) -> None:
    """Keep what was told of two schedules, of which one missed iterations."""
    before = None if told_ms == 1_000 else told_ms - 1_000
    rows = [
        ScheduleRow(uid, "ACTIVE", None, f'{{"ü":{told_ms}}}', "[]", told_ms, before)
        for uid in ("schedule-b", "Schedule-A")
    ]
    writer = SqliteLogWriter(source.log_path)
    assert len(writer.transact(lambda connection: schedules.save(connection, rows))) == 2
    assert writer.transact(
        lambda connection: schedules.judge(
            connection,
            "schedule-b",
            [told_ms + 1, told_ms + 2],
            from_ms=before or told_ms,
            judged_ms=told_ms,
            now_ms=5,
        )
    )
    writer.close()


def keep_key(source: Settings, number: int, **members: int) -> ApiKeyRow:
    """Keep an API key, in the place of one with the same number."""
    digest = bytes([number]) * 32
    row = ApiKeyRow(f"key_{number}", "né", "read,write", digest, "abcd", 1)
    row = row._replace(**members)  # type: ignore[arg-type]
    marks = ", ".join("?" * len(row))
    writer = SqliteLogWriter(source.log_path)
    writer.transact(
        lambda connection: connection.execute(f"REPLACE INTO api_keys VALUES ({marks})", row)
    )
    writer.close()
    return row


def keys_of(target: Settings) -> list[ApiKeyRow]:
    assert target.postgres_url is not None
    rows = run(target.postgres_url, f"SELECT {COLUMNS} FROM api_keys ORDER BY key_id")
    return [ApiKeyRow(*row) for row in rows]


def copied(source: Settings, target: Settings) -> Verdict:
    """The whole of a copy."""
    with opened_for_copy(source, target) as (one, other):
        copy_log(one, other, lambda done, total: None)
        with opened_for_work(target, "copy") as work:
            projector = Projector(work.log, work.projection, RESULT_KEYS)
            deadline = monotonic() + 10  # a run that was interrupted is left alone for a second
            while other.unprojected() and monotonic() < deadline:
                if projector.project_batch() is None:
                    sleep(0.05)
        assert other.unprojected() == 0
        return verified(one, other)


def verified(source: SqliteSource, target: PostgresTarget) -> Verdict:
    """What a comparison of all finds."""
    verdict = verify_log(source, target, lambda done, total: None)
    verify_derived(verdict, source, target)
    return verdict


def export(configured: Settings) -> tuple[dict[str, Any], list[Any]]:
    """The exports of a store, and its callbacks and quarantine as the API lists them."""

    async def exporting() -> tuple[dict[str, Any], list[Any]]:
        store = store_of(configured, on_news=lambda: None)
        await store.open()
        try:
            rows: list[Any] = []
            for uid in RUNS:
                found = await store.reader.callbacks(uid, after_seq=0, limit=1000)
                numbers = {row.seq: place for place, row in enumerate(found)}
                rows += [
                    (
                        uid,
                        row.callback_key,
                        row.received_ms,
                        None if row.conflicts_with is None else numbers[row.conflicts_with],
                        await store.reader.raw(uid, row.seq),
                    )
                    for row in found
                ]
                view = await store.reader.run(uid)
                rows.append((uid, view and view.duplicates))
            for told in await store.reader.schedules(ScheduleFilter(), after="", limit=100):
                missed = await store.reader.missed_iterations(told.uid, from_ms=0, limit=100)
                rows.append((told, missed))
            for entry in await store.reader.quarantined(after="", limit=100):
                _, body = await store.reader.quarantined_entry(entry.quarantine_id) or (None, b"")
                detail = entry.detail.replace("\0", "\N{REPLACEMENT CHARACTER}")
                rows.append(
                    (entry.quarantine_id, entry.times_seen, entry.received_ms, detail, body)
                )
            return await exported(store.reader), rows
        finally:
            await store.close()

    return asyncio.run(exporting())


def appended(target: Settings, arrivals: Sequence[Arrival]) -> set[Outcome]:
    """What a collector that serves from the target says to `arrivals`."""

    async def appending() -> set[Outcome]:
        store = store_of(target, on_news=lambda: None)
        await store.open()
        outcomes = await store.append(arrivals)
        await store.close()
        return set(outcomes)

    return asyncio.run(appending())


def test_everything_arrives_and_is_known_there(
    source: Settings, target: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PORTION_CALLBACKS", 10)  # conflicts reach over portions
    arrivals = some_arrivals(1)
    append(source, arrivals, bad=("bad", "worse", "bad"))
    note_schedules(source, 1_000)
    verdict = copied(source, target)
    assert verdict.differences == verdict.notes == []
    assert verdict.runs == 3
    assert verdict.conflicts > 3
    assert verdict.duplicates > 3
    assert verdict.quarantined == verdict.schedules == 2
    assert export(source) == export(target)
    assert Outcome.STORED not in appended(target, arrivals)


@settings(
    max_examples=examples(4),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data(), st.integers(1, 4))
def test_any_history_is_exported_alike_from_both(data: st.DataObject, portion: int) -> None:
    postgres()
    callbacks = data.draw(st.lists(a_callback(), min_size=1, max_size=9))
    batches = data.draw(a_history(callbacks))
    with (
        tempfile.TemporaryDirectory() as folder,
        fresh_postgres() as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(copying, "PORTION_CALLBACKS", portion)
        source = Settings(database_url=f"sqlite:///{folder}/collector.db")
        target = Settings(database_url=url)
        append(source, [arrival(body) for batch in batches for body in batch])
        assert copied(source, target).differences == []
        assert export(source) == export(target)


def test_a_source_that_grew_is_copied_on(source: Settings, target: Settings) -> None:
    append(source, some_arrivals(2), bad=("bad", "released later"))
    note_schedules(source, 1_000)
    copied(source, target)
    assert copied(source, target).differences == []
    append(source, [*some_arrivals(3), *some_arrivals(2)[:5]], bad=("bad", "new"))
    writer = SqliteLogWriter(source.log_path)
    assert writer.release("q-released later")
    writer.close()
    note_schedules(source, 2_000)
    verdict = copied(source, target)
    assert verdict.differences == []
    assert verdict.quarantined == 2
    assert export(source) == export(target)


def test_an_empty_source_makes_an_empty_target(source: Settings, target: Settings) -> None:
    append(source, [])
    assert copied(source, target) == Verdict()


def test_what_arrives_while_it_is_copied_is_left_to_the_next_copy(
    source: Settings, target: Settings
) -> None:
    append(source, some_arrivals(4))
    with opened_for_copy(source, target) as (one, other):
        writer = SqliteLogWriter(source.log_path)
        writer.append([arrival(sent("later", run=RUNS[0]))])
        before = copy_log(one, other, lambda done, total: None)
        assert not [line for line in verified(one, other).differences if "results" not in line]
        writer.close()
    with opened_for_copy(source, target) as (one, other):
        assert copy_log(one, other, lambda done, total: None) == 1
    assert before > 1


def test_a_source_that_is_not_projected_is_compared_without_results(
    source: Settings, target: Settings
) -> None:
    append(source, some_arrivals(5))
    source.projection_path.unlink()
    verdict = copied(source, target)
    assert verdict.differences == []
    assert "the source is not projected" in verdict.notes[0]


@pytest.mark.parametrize("is_copy", [False, True])
def test_a_target_that_holds_anything_else_is_refused(
    source: Settings, target: Settings, is_copy: bool
) -> None:
    append(source, some_arrivals(6))
    if is_copy:
        copied(source, target)
    appended(target, [arrival(sent("foreign", run="another"))])
    with pytest.raises(CopyRefusedError, match="callbacks instead of"):
        copied(source, target)


@pytest.mark.parametrize("what", ["schedules", "missed iterations"])
def test_a_target_that_was_told_of_schedules_since_is_refused(
    source: Settings, target: Settings, what: str
) -> None:
    append(source, some_arrivals(6, 5))
    note_schedules(source, 1_000)
    copied(source, target)
    table, values = {
        "schedules": ("schedules", "'other', 'ACTIVE', NULL, '{}', '[]', 1, 1, 1"),
        "missed iterations": ("missed_iterations", "'schedule-b', 1, 1"),
    }[what]
    assert target.postgres_url is not None
    run(target.postgres_url, f"INSERT INTO {table} VALUES ({values})")
    with pytest.raises(CopyRefusedError, match=f"3 {what} instead of 2"):
        copied(source, target)


@pytest.mark.parametrize(
    ("foreign", "found"),
    {
        "UPDATE endpoints SET version = version + 1": "2 versions of endpoints instead of 1",
        "INSERT INTO endpoints VALUES ('x', 'active', NULL, '{}', '', 1, 2, 3)": "2 endpoints inst",
        "INSERT INTO events VALUES (99, 'x', 'x', '', NULL, 1, NULL, NULL, '')": "events instead",
        "DELETE FROM deliveries WHERE event_no = 1": "deliveries instead",
        "INSERT INTO attempts VALUES ('', 'x', 1, 2, 3, 200, NULL, '')": "attempts to deliver inst",
        "INSERT INTO sinks VALUES ('x', 'active', '{}', '', 1, 0, NULL, 1, 1)": "2 sinks instead",
    }.items(),
)
def test_a_target_that_has_told_since_is_refused(
    source: Settings, target: Settings, foreign: str, found: str
) -> None:
    begin_telling(source, "one")
    append(source, some_arrivals(6, 5))
    told(source)
    copied(source, target)
    assert target.postgres_url is not None
    run(target.postgres_url, foreign)
    with pytest.raises(CopyRefusedError, match=found):
        copied(source, target)


def test_a_target_that_was_copied_from_another_source_is_refused(
    source: Settings, target: Settings, tmp_path: Path
) -> None:
    append(source, some_arrivals(7))
    copied(source, target)
    other = Settings(database_url=f"sqlite:///{tmp_path}/other.db")
    append(other, some_arrivals(7))  # the same bodies, received at other times
    with pytest.raises(CopyRefusedError, match="a copy of another source"):
        copied(other, target)


# ------------------------------------------------------------------- events


def outbox(configured: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """What is in each table of an outbox."""
    statements = {"relay": "SELECT next_event_no FROM relay"}
    for table in TABLES:
        columns = table.listed_columns
        statements[table.name] = f"SELECT {columns} FROM {table.name} ORDER BY {columns}"
    if configured.postgres_url is not None:
        url = configured.postgres_url
        return {name: [tuple(row) for row in run(url, sql)] for name, sql in statements.items()}
    with contextlib.closing(sqlite3.connect(configured.outbox_path)) as file:
        return {name: file.execute(sql).fetchall() for name, sql in statements.items()}


def test_what_was_told_is_not_told_again_and_news_is_told_once(
    source: Settings, target: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PORTION_CALLBACKS", 10)
    begin_telling(source)
    append(source, some_arrivals(1), bad=("bad",))
    before = told(source)
    append(source, [*some_arrivals(3), arrival(sent("new", run="run-d"))], bad=("worse",))
    assert copied(source, target).differences == []
    assert copied(source, target).differences == []
    after = told(target)
    assert after[: len(before)] == before
    assert [no for no, _ in after] == list(range(1, len(after) + 1))
    assert causes(after) == causes(told(source))
    news = {one.type for _, one in after[len(before) :]}
    assert news == {"callback.conflict", "callback.quarantined", "run.started"}


def test_what_the_source_told_since_the_last_copy_is_not_told_again(
    source: Settings, target: Settings
) -> None:
    begin_telling(source)
    append(source, some_arrivals(1), bad=("bad",))
    copied(source, target)  # all of it is news there
    assert told(source)
    append(source, some_arrivals(3), bad=("worse",))
    known = told(source)
    append(source, some_arrivals(4))
    assert copied(source, target).differences == []
    after = told(target)
    assert after[: len(known)] == known
    assert causes(after) == causes(told(source))


def test_what_the_source_told_in_part_since_is_told_once_by_its_ids(
    source: Settings, target: Settings
) -> None:
    begin_telling(source)
    conflicting = [sent("c1", results=({"n": number},)) for number in range(3)]
    append(source, [arrival(body) for body in conflicting])  # in one segment
    copied(source, target)
    known = told(source)
    with contextlib.closing(sqlite3.connect(source.outbox_path)) as file:
        file.execute("DELETE FROM events WHERE event_no = 3")  # as if it had stopped before that
        file.execute("UPDATE relay SET announced_seq = 3, next_event_no = 3")
        file.commit()
    assert copied(source, target).differences == []
    after = told(target)
    assert after[:2] == known[:2]
    assert causes(after) == causes(known)


def test_what_was_told_is_noted_in_the_transaction_that_logs_it(
    source: Settings, target: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(point: str) -> None:
        raise KeyboardInterrupt(point)

    begin_telling(source)
    append(source, some_arrivals(1))
    told(source)
    monkeypatch.setattr(copying, "reach", cut_off)  # after the first portion's commit
    with (
        opened_for_copy(source, target) as (one, other),
        pytest.raises(KeyboardInterrupt, match="copy after commit"),
    ):
        copy_log(one, other, lambda done, total: None)
    assert target.postgres_url is not None
    rows = run(
        target.postgres_url,
        "SELECT l.xmin = a.xmin AND l.xmin = c.xmin AND l.next_seq = a.announced_seq"
        " FROM log_runs l JOIN announcements a USING (run_uid) CROSS JOIN copies c",
    )
    assert [is_so for (is_so,) in rows] == [True] * len(RUNS)


def test_whoever_projects_as_news_what_was_told_since_saves_nothing(
    source: Settings, target: Settings
) -> None:
    begin_telling(source)
    append(source, some_arrivals(1))
    with opened_for_copy(source, target) as (one, other):
        copy_log(one, other, lambda done, total: None)
    told(source)
    with opened_for_work(target, "slow") as work:
        claim = work.projection.claim()
        assert claim is not None
        assert claim.announced_seq == 1
        with opened_for_copy(source, target) as (one, other):
            copy_log(one, other, lambda done, total: None)
        assert not work.projection.save([], claim, claim.from_seq + 1)
    assert copied(source, target).differences == []
    assert causes(told(target)) == causes(told(source))


def test_a_source_without_an_outbox_has_no_news(source: Settings, target: Settings) -> None:
    append(source, some_arrivals(1), bad=("bad",))
    assert copied(source, target).differences == []
    assert [one.type for _, one in told(target)] == ["callback.quarantined"]
    assert causes(told(source)) == causes(told(target))  # as it would be where it was


def test_events_of_a_source_that_was_not_projected_are_raised_in_the_target(
    source: Settings, target: Settings
) -> None:
    begin_telling(source)
    append(source, some_arrivals(1))
    source.projection_path.unlink()
    assert copied(source, target).differences == []
    append(source, [])
    assert causes(told(target)) == causes(told(source)) != []


def test_what_is_in_the_outbox_already_does_not_wait_again(
    source: Settings, target: Settings
) -> None:
    begin_telling(source)
    append(source, [], bad=("bad",))
    assert len(told(source)) == 1
    with contextlib.closing(sqlite3.connect(source.log_path)) as file:
        file.execute("ATTACH DATABASE ? AS outbox", (str(source.outbox_path),))
        columns = ", ".join(Event._fields)  # as if it had died before it forgot
        file.execute(f"INSERT INTO raised_events ({columns}) SELECT {columns} FROM outbox.events")
        file.commit()
    append(source, [], bad=("worse",))
    copied(source, target)
    assert target.postgres_url is not None
    waiting = run(target.postgres_url, "SELECT subject FROM raised_events")
    assert [subject for (subject,) in waiting] == ["q-worse"]
    assert len(told(target)) == 2


def test_endpoints_and_deliveries_are_copied_as_they_are_by_now(
    source: Settings, target: Settings
) -> None:
    begin_telling(source, "one", "two", "three")
    append(source, some_arrivals(1), bad=("bad",))
    told(source)
    assert deliver(source, "one", 5) == 5
    verdict = copied(source, target)
    assert verdict.differences == []
    assert (verdict.endpoints, verdict.deliveries) == (3, 3 * verdict.events)
    assert verdict.pending_deliveries == verdict.deliveries - 5
    assert outbox(source) == outbox(target)
    append(source, some_arrivals(3))
    told(source)
    assert deliver(source, "one", 3) == deliver(source, "two", 3) == 3
    change(source, "two", '{"changed": true}')
    assert served(source, lambda store: store.outbox.remove_endpoint("three"))
    assert copied(source, target).differences == []
    assert outbox(source) == outbox(target)
    waiting = served(source, lambda store: store.reader.pending_deliveries())
    assert deliver(target, "two", 10_000) == waiting["two"] > 10


def test_an_outbox_that_another_version_wrote_is_refused(
    source: Settings, target: Settings
) -> None:
    begin_telling(source)
    append(source, [])
    with contextlib.closing(sqlite3.connect(source.outbox_path)) as file:
        file.execute("INSERT INTO migrations VALUES (999, '0999_later.sql', 'x')")
        file.commit()
    with pytest.raises(SchemaError, match="install the newer version"):
        copied(source, target)


def test_api_keys_are_copied_and_stay_revoked(source: Settings, target: Settings) -> None:
    append(source, some_arrivals(6, 5))
    rows = [keep_key(source, 1), keep_key(source, 2, last_used_ms=7, expires_ms=9)]
    assert copied(source, target).api_keys == 2
    assert keys_of(target) == rows
    url = target.postgres_url
    assert url is not None
    own = "'key_0', 'made here', 'read', '\\x00', 'abcd', 1"
    run(
        url,
        "UPDATE api_keys SET revoked_ms = 4 WHERE key_id = 'key_1'",
        f"INSERT INTO api_keys VALUES ({own})",
    )
    rows[1] = keep_key(source, 2, last_used_ms=8, expires_ms=9, revoked_ms=6)
    rows.append(keep_key(source, 3))
    verdict = copied(source, target)
    assert (verdict.differences, verdict.api_keys) == ([], 3)
    made_here, *others = keys_of(target)
    assert made_here.name == "made here"
    assert others == [rows[0]._replace(revoked_ms=4), *rows[1:]]


# ----------------------------------------------------------------- tampering

TAMPERINGS = {
    "INSERT INTO log_runs VALUES ('more', 1, 0, false)": "number of runs",
    "UPDATE quarantine SET detail = 'other'": "quarantine: digest",
    "DELETE FROM quarantine": "quarantine: entries",
    "UPDATE log_runs SET duplicates = 99 WHERE run_uid = 'run-a'": "run run-a: duplicates",
    "UPDATE runs SET results = results + 1 WHERE run_uid = 'run-b'": "run run-b: results",
    "DELETE FROM callback_keys WHERE run_uid = 'run-a'": "run run-a: keys",
    "UPDATE conflicts SET seq = seq + 1 WHERE run_uid = 'run-b'": "run run-b: keys and conflicts",
    "UPDATE segments c SET frame = a.frame FROM segments a"
    " WHERE a.run_uid = 'run-a' AND c.run_uid = 'run-c'": "run run-c: digest",
    "UPDATE segments SET frame = '\\x00' WHERE run_uid = 'run-b'": "run run-b: damage",
    "DELETE FROM segments WHERE run_uid = 'run-a'": "run run-a: callbacks",
    "UPDATE missed_iterations SET noted_ms = 6": "missed iterations of schedules",
    "UPDATE schedules SET record = '{}'": "what Edges said of schedules",
    "UPDATE endpoints SET secrets = 'other'": "endpoints: digest",
    "DELETE FROM endpoints": "endpoints: number",
    "UPDATE events SET data = '{}' WHERE event_no = 2": "events: digest",
    "DELETE FROM events WHERE event_no = 1": "events: number",
    "UPDATE deliveries SET state = 'failed' WHERE event_no = 1": "deliveries: digest",
    "UPDATE attempts SET answer = 'other'": "attempts: digest",
    "UPDATE sinks SET secrets = 'other'": "sinks: digest",
    "DELETE FROM sink_runs WHERE run_uid = 'run-1'": "sink_runs: number",
    "UPDATE relay SET next_event_no = 1": "number of the next event",
    "DELETE FROM raised_events": "events that are to be told",
    "UPDATE api_keys SET revoked_ms = NULL": "API key key_1: revoked",
    "UPDATE api_keys SET scopes = 'admin' WHERE key_id = 'key_2'": "API key key_2: ",
}


def test_whatever_was_tampered_with_is_found(
    source: Settings, target: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "DIFFERENCES_MAX", 100)
    begin_telling(source, "one")
    append(source, some_arrivals(8, 30), bad=("bad",))
    told(source)
    deliver(source, "one", 2)
    note_schedules(source, 1_000)
    keep_key(source, 1, revoked_ms=5)
    keep_key(source, 2)
    assert copied(source, target).differences == []
    url = target.postgres_url
    assert url is not None
    with opened_for_copy(source, target) as (one, other):
        before = ""
        for tampering, found in TAMPERINGS.items():
            run(url, tampering)
            differences = "\n".join(verified(one, other).differences)
            assert found not in before
            assert found in differences
            before = differences


def test_what_is_no_log_of_this_version_is_refused(source: Settings, tmp_path: Path) -> None:
    none = tmp_path / "none.db"

    def refusal(path: Path, error: type[Exception]) -> str:
        with pytest.raises(error) as raised, contextlib.ExitStack() as stack:
            stack.enter_context(SqliteSource.opened(path, none, none))
        return str(raised.value)

    append(source, some_arrivals(9, 5))
    assert "there is no SQLite database" in refusal(tmp_path / "missing.db", NoLogError)
    (tmp_path / "text").write_text("not a database" * 100)
    assert "is not a log" in refusal(tmp_path / "text", SchemaError)
    assert "no segments" in refusal(source.projection_path, SchemaError)
    connection = connect_writer(source.log_path)
    connection.execute("INSERT INTO migrations VALUES (999, '0999_later.sql', 'x')")
    assert "install the newer version" in refusal(source.log_path, SchemaError)
    connection.execute("DELETE FROM migrations")
    assert "written by an earlier version" in refusal(source.log_path, SchemaError)
    connection.close()
