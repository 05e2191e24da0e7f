"""The projection's side of the store: derived rows of one run at a time, under a lease.

Any number of workers share the runs between them. A run is one worker's while its lease
lasts, and what is written under a lease that somebody else took over is not committed.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from app.canonical import digest
from app.crash_points import reach
from app.model import RunId
from app.store.derived import (
    CALLBACK_COLUMNS,
    EDGES_CALLBACK_COLUMNS,
    INPUT_COLUMNS,
    INPUT_ROW_COLUMNS,
    OUTPUT_PAGE_COLUMNS,
    RUN_ROW_COLUMNS,
    TOLD_INPUT_COLUMNS,
    callback_values,
    input_row,
    input_values,
    run_row,
    run_values,
    told_input_values,
)
from app.store.postgres.driver import BlockingConnection, Row
from app.store.raised import EVENT_COLUMNS
from app.store.rows import (
    CallbackRow,
    Changes,
    Claim,
    EdgesCallbackRow,
    InputRow,
    OutputPage,
    RunRow,
)

DERIVED_TABLES = (
    "runs",
    "callbacks",
    "inputs",
    "custom_values",
    "fields",
    "output_pages",
    "edges_callbacks",
)
"""All that is derived of a run, but for how far it is."""

LEASE_S = 10
"""How long a run waits for another worker when the one that had it died."""

_DIGESTS_AT_ONCE = 20_000

_ENROL = """
    INSERT INTO projections (run_uid)
    SELECT l.run_uid FROM log_runs l LEFT JOIN projections p USING (run_uid)
    WHERE {chosen} AND p.run_uid IS NULL
    ON CONFLICT DO NOTHING
"""
_CLAIM = """
    UPDATE projections p
    SET leased_by = $1, leased_until = now() + $2 * interval '1 second'
    FROM (
        SELECT q.run_uid, l.next_seq, coalesce((
            SELECT announced_seq FROM announcements a WHERE a.run_uid = q.run_uid
        ), 1) AS announced_seq
        FROM log_runs l JOIN projections q USING (run_uid)
        WHERE {chosen} AND l.run_uid > $3 AND l.next_seq > q.next_seq
            AND (q.leased_until < now() OR q.leased_by = $1)
        ORDER BY l.run_uid LIMIT 1
        FOR UPDATE OF q SKIP LOCKED
    ) AS free
    WHERE p.run_uid = free.run_uid
    RETURNING p.run_uid, p.next_seq, free.next_seq AS before_seq, free.announced_seq, p.derivation
"""
_ANNOUNCE = """
    INSERT INTO announcements AS a (run_uid, announced_seq) VALUES ($1, $2)
    ON CONFLICT (run_uid) DO UPDATE
    SET announced_seq = greatest(a.announced_seq, excluded.announced_seq)
"""
_CLEAN_UP = """
    UPDATE log_runs l SET is_dirty = false FROM projections p
    WHERE p.run_uid = l.run_uid AND l.is_dirty AND l.next_seq = p.next_seq
"""


class PostgresProjection:
    """Reads and writes what is derived of runs."""

    def __init__(
        self, connection: BlockingConnection, worker_name: str, *, is_rebuild: bool = False
    ) -> None:
        """Leases are held under `worker_name`.

        With `is_rebuild` every run is projected, whether it is marked as dirty or not.
        """
        self._connection = connection
        self._is_rebuild = is_rebuild
        self._holder = worker_name
        self._last_uid = ""
        chosen = "true" if is_rebuild else "l.is_dirty"
        self._enrol, self._claim = _ENROL.format(chosen=chosen), _CLAIM.format(chosen=chosen)

    def claim(self) -> Claim | None:
        """A run that has something new and that no other worker is at; it is ours for a while.

        The next one by uid after the last, and round again, so that each has its turn and a
        claim costs the same however many runs wait.
        """
        claim = self._claim_after(self._last_uid)
        if claim is None:
            self._connection.execute(self._enrol)
            claim = self._claim_after("")
        if claim is not None:
            return claim
        if not self._is_rebuild:
            # Left by a worker that died between its commit and its last word.
            self._connection.execute(_CLEAN_UP)
        return None

    def _claim_after(self, run_uid: str) -> Claim | None:
        for uid, next_seq, before_seq, announced_seq, derivation in self._connection.fetch(
            self._claim, self._holder, LEASE_S, run_uid
        ):
            self._last_uid = uid
            return Claim(RunId(0, uid), next_seq, before_seq, announced_seq, derivation)
        return None

    # ----------------------------------------------------------------- reading

    def inputs(self, run: RunId, input_keys: Collection[bytes]) -> Iterable[InputRow]:
        """Those of these inputs of a run that are known."""
        return self._inputs("input_key = ANY($2::bytea[])", run, list(input_keys))

    def aliased(self, run: RunId, alias_keys: Collection[bytes]) -> Iterable[InputRow]:
        """The inputs of a run with one of these alias keys."""
        condition = "alias_key IS NOT NULL AND alias_key = ANY($2::bytea[])"
        return self._inputs(condition, run, list(alias_keys))

    def edges_callbacks(self, run: RunId, uids: Sequence[str]) -> Iterable[EdgesCallbackRow]:
        """Those of these records of Edges' callbacks that are known."""
        if not uids:
            return ()
        rows = self._connection.fetch(
            f"SELECT {EDGES_CALLBACK_COLUMNS} FROM edges_callbacks"
            " WHERE run_uid = $1 AND uid = ANY($2::text[])",
            run.uid,
            list(uids),
        )
        return [EdgesCallbackRow(*row) for row in rows]

    def with_keys(self, run: RunId, keys: Sequence[str]) -> Iterable[CallbackRow]:
        """The callbacks of a run with one of these keys; reads all of the run's."""
        rows = self._connection.fetch(
            f"SELECT {CALLBACK_COLUMNS} FROM callbacks"
            " WHERE run_uid = $1 AND callback_key = ANY($2::text[])",
            run.uid,
            list(keys),
        )
        return [CallbackRow(*row) for row in rows]

    def output_pages(self, run: RunId, *, counted_only: bool) -> Iterable[OutputPage]:
        """The pages of `/outputs` of a run; or only those of which any result counts."""
        which = " AND counted IS NOT NULL" if counted_only else ""
        rows = self._connection.fetch(
            f"SELECT {OUTPUT_PAGE_COLUMNS} FROM output_pages WHERE run_uid = $1{which}", run.uid
        )
        return [OutputPage(*row) for row in rows]

    def with_contents(
        self, run: RunId, wanted: Sequence[tuple[int, bytes]]
    ) -> Iterable[CallbackRow]:
        """The callbacks of a run with one of these (input number, content) pairs."""
        if not wanted:
            return ()
        numbers, contents = zip(*wanted, strict=True)
        rows = self._connection.fetch(
            f"SELECT {CALLBACK_COLUMNS} FROM unnest($2::bigint[], $3::bytea[])"
            " AS w (input_no, content) JOIN callbacks c USING (input_no, content)"
            " WHERE c.run_uid = $1 AND c.content IS NOT NULL",
            run.uid,
            list(numbers),
            list(contents),
        )
        return (CallbackRow(*row) for row in rows)

    def family(self, run: RunId, first_seq: int) -> list[CallbackRow]:
        """A callback and those that conflict with it."""
        rows = self._connection.fetch(
            f"SELECT {CALLBACK_COLUMNS} FROM callbacks WHERE run_uid = $1 AND seq = $2"
            f" UNION ALL SELECT {CALLBACK_COLUMNS} FROM callbacks"
            " WHERE run_uid = $1 AND conflicts_with = $2",
            run.uid,
            first_seq,
        )
        return [CallbackRow(*row) for row in rows]

    def input(self, run: RunId, input_no: int) -> InputRow:
        """One input of a run. Raises LookupError if there is none of this number."""
        for row in self._inputs("input_no = $2", run, input_no):
            return row
        raise LookupError(f"run {run.uid} has no input {input_no}")

    def run(self, run: RunId) -> RunRow:
        """What is known of a run; an empty row if nothing is."""
        rows = self._connection.fetch(
            f"SELECT {RUN_ROW_COLUMNS} FROM runs WHERE run_uid = $1", run.uid
        )
        return run_row(run, rows[0]) if rows else RunRow(run)

    def _inputs(self, condition: str, run: RunId, value: object) -> Iterable[InputRow]:
        if value == []:
            return
        rows: Sequence[Row] = self._connection.fetch(
            f"SELECT {INPUT_ROW_COLUMNS} FROM inputs WHERE run_uid = $1 AND {condition}",
            run.uid,
            value,
        )
        yield from map(input_row, rows)

    # ----------------------------------------------------------------- writing

    def write(self, changes: Sequence[Changes]) -> None:
        """Write `changes` within a transaction, and nothing of the progress."""
        for change in changes:
            self._save_inputs(change)
            self._save_callbacks(change)
            self._save_answers(change)
            self._save_run(change)

    def save(self, changes: Sequence[Changes], claim: Claim, next_seq: int) -> bool:
        """Write `changes` and the progress to `next_seq` in one transaction, and end the lease.

        False, and nothing written, if the lease was taken over. Raises ValueError if the
        claim is not of one run.
        """
        if claim.run is None:
            raise ValueError(f"a claim of one run is needed, not {claim}")
        with self._connection.transaction():
            held = self._connection.execute(
                "UPDATE projections SET next_seq = $1, leased_by = NULL, leased_until = now()"
                " WHERE run_uid = $2 AND next_seq = $3 AND leased_by = $4",
                next_seq,
                claim.run.uid,
                claim.from_seq,
                self._holder,
            )
            if held == "UPDATE 0":
                return False
            self.write(changes)
            if next_seq > claim.announced_seq:
                self._save_events(claim.run.uid, changes, next_seq)
            reach("projection before commit")
        reach("projection after commit")
        if next_seq == claim.before_seq and not self._is_rebuild:
            self._connection.execute(
                "UPDATE log_runs SET is_dirty = false WHERE run_uid = $1 AND next_seq = $2",
                claim.run.uid,
                next_seq,
            )
        return True

    def _save_events(self, run_uid: str, changes: Sequence[Changes], next_seq: int) -> None:
        self._connection.execute(_ANNOUNCE, run_uid, next_seq)
        self._connection.copy(
            "raised_events",
            EVENT_COLUMNS,
            [tuple(one) for change in changes for one in change.raised()],
        )

    def _save_run(self, changes: Changes) -> None:
        run = changes.run
        values = run_values(run)
        marks = ", ".join(f"${place}" for place in range(2, len(values) + 2))
        self._connection.execute(
            f"INSERT INTO runs (run_uid, {', '.join(values)}) VALUES ($1, {marks})"
            " ON CONFLICT (run_uid) DO UPDATE SET"
            f" ({', '.join(values)}) = ROW ({', '.join('excluded.' + name for name in values)})",
            run.id.uid,
            *values.values(),
        )
        if changes.fields:
            # In one order, so that workers of different runs never wait for each other.
            fields = sorted(
                (section, name.encode(), int(kinds))
                for (section, name), kinds in changes.fields.items()
            )
            self._connection.execute(
                "INSERT INTO fields AS f (run_uid, section, name_digest, name, kinds)"
                " SELECT $1, * FROM unnest($2::text[], $3::bytea[], $4::bytea[], $5::integer[])"
                " ON CONFLICT (run_uid, section, name_digest)"
                " DO UPDATE SET kinds = f.kinds | excluded.kinds",
                run.id.uid,
                [section for section, _, _ in fields],
                [digest(name) for _, name, _ in fields],
                [name for _, name, _ in fields],
                [kinds for _, _, kinds in fields],
            )

    def _save_inputs(self, changes: Changes) -> None:
        run_uid = changes.run.id.uid
        new: list[tuple[Any, ...]] = []
        new_told: list[tuple[Any, ...]] = []
        known: list[tuple[Any, ...]] = []
        told: list[tuple[Any, ...]] = []
        for input_no, row in sorted(changes.inputs.items()):
            derived = input_values(row)
            if input_no in changes.new_inputs:
                values = (run_uid, input_no, row.input_key, row.custom_data, *derived)
                if row.told is None:
                    new.append((*values, row.input))
                else:
                    new_told.append((*values, *told_input_values(row)))
                continue
            known.append((input_no, *derived))
            if row.told is not None:
                told.append((input_no, *told_input_values(row)))
        self._connection.copy(
            "inputs",
            f"run_uid, input_no, input_key, custom_data, {INPUT_COLUMNS}, input",
            new,
        )
        self._connection.copy(
            "inputs",
            f"run_uid, input_no, input_key, custom_data, {INPUT_COLUMNS}, {TOLD_INPUT_COLUMNS}",
            new_told,
        )
        if known:
            self._connection.execute(
                f"UPDATE inputs i SET ({INPUT_COLUMNS}) = ROW"
                f" ({', '.join('u.' + name for name in INPUT_COLUMNS.split(', '))})"
                " FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[],"
                f" $7::bigint[], $8::bigint[], $9::bigint[]) AS u (input_no, {INPUT_COLUMNS})"
                " WHERE i.run_uid = $1 AND i.input_no = u.input_no",
                run_uid,
                *map(list, zip(*known, strict=True)),
            )
        if told:
            self._connection.execute(
                f"UPDATE inputs i SET ({TOLD_INPUT_COLUMNS}) = ROW"
                f" ({', '.join('u.' + name for name in TOLD_INPUT_COLUMNS.split(', '))})"
                " FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::text[],"
                f" $7::text[], $8::bigint[]) AS u (input_no, {TOLD_INPUT_COLUMNS})"
                " WHERE i.run_uid = $1 AND i.input_no = u.input_no",
                run_uid,
                *map(list, zip(*told, strict=True)),
            )
        self._connection.copy(
            "custom_values",
            "run_uid, path, value, input_no",
            [
                (run_uid, path.encode(), value.encode(), input_no)
                for path, value, input_no in sorted(changes.custom_values)
            ],
        )

    def _save_answers(self, changes: Changes) -> None:
        run, connection = changes.run, self._connection
        connection.copy(
            "output_pages",
            f"run_uid, {OUTPUT_PAGE_COLUMNS}",
            [(run.id.uid, *page) for page in changes.output_pages],
        )
        if changes.edges_callbacks:
            columns = EDGES_CALLBACK_COLUMNS.split(", ")
            connection.execute(
                f"INSERT INTO edges_callbacks (run_uid, {EDGES_CALLBACK_COLUMNS})"
                " SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[],"
                " $6::integer[], $7::text[], $8::bigint[], $9::bigint[], $10::integer[])"
                f" ON CONFLICT (run_uid, uid) DO UPDATE SET ({EDGES_CALLBACK_COLUMNS})"
                f" = ROW ({', '.join('excluded.' + name for name in columns)})",
                run.id.uid,
                *map(list, zip(*changes.edges_callbacks.values(), strict=True)),
            )
        if changes.are_inputs_placed and run.told is not None:
            placed = connection.execute(
                "UPDATE inputs SET place = (told::jsonb->>1)::bigint WHERE run_uid = $1"
                " AND told IS NOT NULL AND place IS DISTINCT FROM (told::jsonb->>1)::bigint",
                run.id.uid,
            )
            run.told.order_no += placed != "UPDATE 0"
        if changes.recount is not None:
            recounted = changes.recount(
                self.output_pages(run.id, counted_only=False), self._counted_digests(run.id)
            )
            connection.execute(
                "UPDATE output_pages SET counted = NULL WHERE run_uid = $1 AND counted IS NOT NULL",
                run.id.uid,
            )
            connection.execute(
                "UPDATE output_pages p SET counted = u.counted"
                " FROM unnest($2::text[], $3::integer[], $4::bytea[])"
                " AS u (walk_uid, page, counted)"
                " WHERE p.run_uid = $1 AND p.walk_uid = u.walk_uid AND p.page = u.page",
                run.id.uid,
                [walk_uid for walk_uid, _ in recounted.counted],
                [page for _, page in recounted.counted],
                list(recounted.counted.values()),
            )

    def _counted_digests(self, run: RunId) -> Iterable[bytes]:
        """In portions, since a run may have millions of results."""
        after = 0
        while rows := self._connection.fetch(
            "SELECT seq, digests FROM callbacks WHERE run_uid = $1 AND seq > $2"
            " AND content IS NOT NULL AND lost_to IS NULL ORDER BY seq LIMIT $3",
            run.uid,
            after,
            _DIGESTS_AT_ONCE,
        ):
            yield from (digests for _, digests in rows)
            after = rows[-1][0]

    def _save_callbacks(self, changes: Changes) -> None:
        run_uid = changes.run.id.uid
        self._connection.copy(
            "callbacks",
            f"run_uid, {CALLBACK_COLUMNS}, digests",
            [(run_uid, *callback_values(row)) for row in changes.new_callbacks],
        )
        changed = list(changes.changed_callbacks.values())
        if changed:
            self._connection.execute(
                "UPDATE callbacks c SET is_winner = u.is_winner, lost_to = u.lost_to"
                " FROM unnest($2::bigint[], $3::boolean[], $4::bigint[])"
                " AS u (seq, is_winner, lost_to) WHERE c.run_uid = $1 AND c.seq = u.seq",
                run_uid,
                [row.seq for row in changed],
                [row.is_winner for row in changed],
                [row.lost_to for row in changed],
            )
