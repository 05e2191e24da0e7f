"""The plans of what serves one run: its rows are found by an index that leads with the run."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from app.model import RunId
from app.store.postgres import driver
from app.store.postgres.projection import PostgresProjection
from app.store.postgres.reader import PostgresReader, numbered
from app.store.postgres.store import PostgresStore
from app.store.rows import Claim
from app.store.views import (
    PLACED,
    START,
    UNPLACED,
    InputFilter,
    ResultFilter,
    ResultPosition,
    RunSnapshot,
    unplaced_key,
)
from tests.databases import fresh_postgres, run

RUNS, PER_RUN = 60, 1_500
UID = "run-30"
GROWING = {
    "segments", "callback_keys", "conflicts", "callbacks", "inputs", "custom_values", "fields",
    "runs", "log_runs", "projections",
}  # fmt: skip

_FILL = f"""
    INSERT INTO log_runs SELECT 'run-' || r, {PER_RUN} + 1, 0, r % 20 = 0
        FROM generate_series(1, {RUNS}) r;
    INSERT INTO log_runs SELECT 'other-' || r, {PER_RUN} + 1, 0, false
        FROM generate_series(1, 20000) r;
    INSERT INTO projections (run_uid, next_seq) SELECT run_uid, next_seq - 5 FROM log_runs;
    INSERT INTO runs SELECT run_uid, 'RUNNING', '[]', 'open', NULL, NULL, NULL, {PER_RUN}, 0,
        {PER_RUN}, {PER_RUN}, 0, 0, 1, 2, NULL FROM log_runs;
    CREATE VIEW full_runs AS SELECT run_uid FROM log_runs WHERE run_uid LIKE 'run-%';
    INSERT INTO segments SELECT run_uid, s * 16 + 1, 16, '{{}}', 0, repeat('x', 4000)::bytea
        FROM full_runs, generate_series(0, {PER_RUN // 16}) s;
    INSERT INTO callback_keys SELECT run_uid, 'key-' || s, s, 'x'
        FROM full_runs, generate_series(1, {PER_RUN}) s;
    INSERT INTO conflicts SELECT run_uid, 'key-' || s, 'x', s
        FROM full_runs, generate_series(1, 200) s;
    INSERT INTO callbacks SELECT run_uid, s, 'key-' || s, s, sha256(s::text::bytea), 1, true, NULL,
        NULL, 'RUNNING', 0, 100, NULL, NULL, sha256(s::text::bytea)
        FROM full_runs, generate_series(1, {PER_RUN}) s;
    INSERT INTO inputs SELECT run_uid, s, sha256((s * 7)::text::bytea), '{{}}', '{{}}', 'RUNNING',
        '[]', CASE WHEN s % 50 = 0 THEN 'NO_RESULT' END, NULL, 1, 0, 0
        FROM full_runs, generate_series(1, {PER_RUN}) s;
    INSERT INTO custom_values SELECT run_uid, 'row_id', ('row-' || s)::bytea, s
        FROM full_runs, generate_series(1, {PER_RUN}) s;
    INSERT INTO custom_values SELECT run_uid, 'list', 'leads', s
        FROM full_runs, generate_series(1, {PER_RUN}) s;
    INSERT INTO fields SELECT run_uid, 'data', sha256(s::text::bytea), ('field' || s)::bytea
        FROM full_runs, generate_series(1, 30) s;
    ANALYZE
"""


@pytest.fixture(scope="module")
def filled() -> Iterator[str]:
    """A database with many runs, of which one is looked at."""
    with fresh_postgres() as url, asyncio.Runner() as runner:
        store = PostgresStore(url, on_news=lambda: None)
        runner.run(store.open())
        runner.run(store.close())
        run(url, *_FILL.split(";\n"))
        yield url


class Watched:
    """Statements as they are run, with their plans."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._seen: list[tuple[str, Sequence[object]]] = []

    def see(self, sql: str, values: Sequence[object]) -> None:
        self._seen.append((sql, values))

    def plans(self) -> list[tuple[str, dict[str, Any]]]:
        async def explained() -> list[tuple[str, dict[str, Any]]]:
            connection = await driver.connect(self._url)
            found = []
            for sql, values in self._seen:
                async with connection.transaction():
                    text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *values)
                found.append((sql, json.loads(text)[0]["Plan"]))
            await connection.close()
            return found

        assert self._seen
        return asyncio.run(explained())


def nodes(plan: dict[str, Any], above: str = "") -> Iterator[tuple[dict[str, Any], str]]:
    """Each node that reads a table, with the conditions of the index below or at it."""
    table = plan.get("Relation Name", above)
    yield plan, table
    for child in plan.get("Plans", ()):
        yield from nodes(child, table)


def assert_by_run(watched: Watched) -> None:
    for sql, plan in watched.plans():
        for node, table in nodes(plan):
            kind = node["Node Type"]
            if table in GROWING:
                assert kind != "Seq Scan", f"{sql}\n{json.dumps(plan, indent=1)}"
            if kind in ("Index Scan", "Index Only Scan", "Bitmap Index Scan") and table in GROWING:
                condition = node.get("Index Cond", "")
                assert "run_uid" in condition, f"{table}: {condition or 'none'}\n{sql}"


@pytest.fixture
def watched(filled: str) -> Watched:
    return Watched(filled)


@pytest.mark.parametrize(
    "chosen",
    [
        ResultFilter(),
        ResultFilter(custom=(("row_id", "row-7"),)),
        ResultFilter(custom=(("list", "leads"), ("row_id", "row-7"))),
        ResultFilter(input_key=b"x" * 32),
        ResultFilter(received_after_ms=5),
    ],
)
def test_results_of_a_run(
    watched: Watched, filled: str, chosen: ResultFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.input_reads.FEW", 100)
    watch(PostgresReader, "_rows", watched, monkeypatch)

    async def reading(reader: PostgresReader) -> None:
        for after in (START, ResultPosition(unplaced_key(b"\x80"), "key-9", 0)):
            ordered = RunSnapshot(UID, PER_RUN, 1, (PLACED, UNPLACED))
            await reader.counted_callbacks(ordered, chosen, after=after, limit=50, bytes_max=10**6)

    read(filled, reading, bodies=False, monkeypatch=monkeypatch)
    assert_by_run(watched)


def test_inputs_and_callbacks_of_a_run(
    watched: Watched, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(PostgresReader, "_rows", watched, monkeypatch)

    async def reading(reader: PostgresReader) -> None:
        ordered = RunSnapshot(UID, PER_RUN, 1, (PLACED, UNPLACED))
        for chosen in (
            InputFilter(),
            InputFilter(statuses=("FAILED",)),
            InputFilter(error_label="NO_RESULT"),
            InputFilter(custom=(("row_id", "row-7"),)),
            InputFilter(custom=(("list", "leads"),)),
        ):
            await reader.inputs(ordered, chosen, after=unplaced_key(b"\x10"), limit=50)
        await reader.callbacks(UID, after_seq=100, limit=50)
        await reader.seqs(UID, "key-7")
        await reader.fields([UID])
        await reader.run(UID)

    read(filled, reading, bodies=False, monkeypatch=monkeypatch)
    assert_by_run(watched)


def test_what_a_worker_reads_and_writes(
    watched: Watched, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(driver.BlockingConnection, "fetch", watched, monkeypatch)
    connection = driver.BlockingConnection(filled)
    try:
        projection = PostgresProjection(connection, "worker")
        uid = RunId(0, UID)
        list(projection.inputs(uid, [b"x" * 32]))
        list(projection.with_contents(uid, [(7, b"y" * 32)]))
        projection.run(uid)
        projection.family(uid, 7)
        projection.input(uid, 7)
        claim = projection.claim()
        assert claim is not None
        assert claim.run is not None
        assert claim == Claim(claim.run, PER_RUN - 4, PER_RUN + 1)
    finally:
        connection.close()
    assert_by_run_but_for_the_claim(watched)


def assert_by_run_but_for_the_claim(watched: Watched) -> None:
    """A claim looks for runs that have something new, and at no others."""
    watched._seen = [(sql, values) for sql, values in watched._seen if "SKIP LOCKED" not in sql]
    assert_by_run(watched)


def read(url: str, reading: Any, *, bodies: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def reader_at_work() -> None:
        reader = PostgresReader(url)
        await reader.open()
        await reading(reader)
        await reader.close()

    if not bodies:  # the frames are no real ones
        monkeypatch.setattr("app.store.postgres.reader._unpacked", lambda rows: AnyBody())
    asyncio.run(reader_at_work())


class AnyBody(dict[int, bytes]):
    def __missing__(self, key: int) -> bytes:
        return b"{}"


def watch(owner: type, method: str, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    original = getattr(owner, method)

    def watching(self: object, sql: str, *values: object) -> Any:
        watched.see(numbered(sql), values)
        return original(self, sql, *values)

    monkeypatch.setattr(owner, method, watching)
