"""The log in PostgreSQL: a group of arrivals is one statement, committed before it is answered.

Each replica has one connection that appends. A callback that reaches two replicas in the
same instant meets itself in the primary key; the later one learns that it is a repeat.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import chain
from typing import NamedTuple

import structlog
import zstandard

from app import observe
from app.canonical import digest
from app.crash_points import reach
from app.erased import content_digest, same_content
from app.model import Arrival, Outcome, Quarantined
from app.store import segments
from app.store.postgres.driver import OUTAGE, KeptConnection, Row, reason
from app.store.postgres.erasures import StaleTombstonesError, is_stale
from app.store.protocol import LogUnavailableError
from app.store.raised import EVENT_COLUMNS, quarantined_event

# Planning takes as long as a small group, so it is done once for all, with the shape of the
# plan laid down: keys by their index, and what was given joined by hashing.
_PLANS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_nestloop": "off",
    "enable_mergejoin": "off",
}

APPEND_TIMEOUT_S = 5.0
"""A sender may not wait for much longer."""

_SQL = files("app.store.postgres")
_APPEND = _SQL.joinpath("append.sql").read_text("utf-8")
_SETTLE = _SQL.joinpath("settle.sql").read_text("utf-8")
_EARLIER = """
    SELECT k.seq, s.first_seq, s.frame
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS g (run_uid, callback_key, n)
    CROSS JOIN LATERAL (
        SELECT seq FROM callback_keys
        WHERE run_uid = g.run_uid AND callback_key = g.callback_key LIMIT 1
    ) AS k
    CROSS JOIN LATERAL (
        SELECT first_seq, frame FROM segments
        WHERE run_uid = g.run_uid AND first_seq <= k.seq ORDER BY first_seq DESC LIMIT 1
    ) AS s
    ORDER BY g.n
"""

_QUARANTINE = f"""
    WITH kept AS (
        INSERT INTO quarantine AS q (quarantine_id, body_digest, received_ms, last_received_ms,
            reason, detail, content_type, body_bytes, frame)
        SELECT $1, $2, $3::bigint, $3::bigint, $4, $5, $6, $7, $8
        WHERE (SELECT erasures_are_known($17))
        ON CONFLICT (body_digest) DO UPDATE SET times_seen = q.times_seen + 1,
            last_received_ms = excluded.received_ms
        RETURNING quarantine_id, times_seen
    ), raised AS (
        INSERT INTO raised_events ({EVENT_COLUMNS})
        SELECT $9, $10, $11, $12, $13, $14, $15, $16 FROM kept WHERE times_seen = 1
    )
    SELECT quarantine_id FROM kept
"""

log = structlog.get_logger("store")


@dataclass(slots=True)
class _Group:
    """A batch as the statement wants it: columns, and the places they came from."""

    runs: list[str] = field(default_factory=list)
    callbacks: list[int] = field(default_factory=list)
    repeats: list[int] = field(default_factory=list)
    """Of each run: how many are the same bytes as another one of this group."""
    run_of: list[int] = field(default_factory=list)
    place_of: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    arrivals: dict[tuple[int, int], int] = field(default_factory=dict)
    """The place in the batch of each callback, by run and place within the run."""
    repeated: dict[int, list[int]] = field(default_factory=dict)
    """Places in the batch of the same bytes again, by the place of the first."""
    others: list[int] = field(default_factory=list)
    """Places in the batch of other bytes under a key of this group."""


class PostgresLog:
    """Appends to the log over a connection of its own, and replaces it when it broke."""

    def __init__(self, url: str) -> None:
        self._connection = KeptConnection(url, _PLANS, timeout_s=APPEND_TIMEOUT_S)
        self._compressor = segments.compressor()
        self._decompressor = zstandard.ZstdDecompressor()

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    async def _fetch(self, sql: str, *values: object) -> Sequence[Row]:
        try:
            async with self._connection.held() as connection:
                observe.LOG_STATEMENTS.inc()
                rows: Sequence[Row] = await connection.fetch(sql, *values)
        except OUTAGE as error:
            if is_stale(error):
                raise StaleTombstonesError from None
            # Whether a commit that was cut off took place is unknown: it is not acknowledged,
            # and counts once when it is sent again.
            raise LogUnavailableError(f"PostgreSQL cannot take it: {reason(error)}") from error
        return rows

    # ------------------------------------------------------------ callbacks

    async def append(self, arrivals: Sequence[Arrival], version: int) -> list[Outcome]:
        """Make `arrivals` durable; one outcome for each, in order.

        They were looked through for tombstones of this version. Raises StaleTombstonesError,
        and then has stored nothing, or what is no harm to store again, if there are others.
        One statement, whatever the size of the group. What repeats an earlier callback with
        other bytes takes two more, for all of them together. Raises LogUnavailableError.
        """
        reach("log begun")
        outcomes = [Outcome.STORED] * len(arrivals)
        group = _group(arrivals)
        frames, columns = self._frames(arrivals, group)
        reach("log before commit")
        missed = await self._fetch(
            _APPEND,
            group.run_of, group.place_of, group.keys, group.digests,
            group.runs, group.callbacks, group.repeats,
            *columns, frames, version,
        )  # fmt: skip
        reach("log after commit")
        unsettled = group.others
        for repeat in chain.from_iterable(group.repeated.values()):
            outcomes[repeat] = Outcome.DUPLICATE
        for run, place_of_run, is_same in missed:
            place = group.arrivals[run, place_of_run]
            if is_same:
                outcomes[place] = Outcome.DUPLICATE
            else:
                unsettled.append(place)
        if unsettled:
            unsettled.sort()  # conflicts are logged in the order of their arrival
            settled = await self._settle([arrivals[place] for place in unsettled], version)
            for place, outcome in zip(unsettled, settled, strict=True):
                for one in (place, *group.repeated.get(place, ())):
                    outcomes[one] = outcome
        return outcomes

    async def check(self, version: int) -> None:
        """Raises StaleTombstonesError if there are tombstones of another version."""
        await self._fetch("SELECT erasures_are_known($1)", version)

    def _frames(
        self, arrivals: Sequence[Arrival], group: _Group
    ) -> tuple[list[bytes], tuple[list[int], ...]]:
        """The group's frames; and as columns the run, first place, callbacks and time of each."""
        entries: list[list[segments.Entry]] = [[] for _ in group.runs]
        for (run, _), place in group.arrivals.items():
            one = arrivals[place]
            entries[run - 1].append(segments.entry_of(one, None))
        portions: list[Sequence[segments.Entry]] = []
        columns: tuple[list[int], ...] = ([], [], [], [])
        for run, of_run in enumerate(entries, 1):
            first_place = 0
            for portion in segments.split(of_run):
                portions.append(portion)
                values = (run, first_place, len(portion), portion[0].received_ms)
                for column, value in zip(columns, values, strict=True):
                    column.append(value)
                first_place += len(portion)
        return segments.pack(portions, self._compressor), columns

    async def _settle(self, repeated: Sequence[Arrival], version: int) -> list[Outcome]:
        """Tell duplicates from conflicts, count the ones, and log the others."""
        rows = await self._fetch(
            _EARLIER, [one.run_uid for one in repeated], [one.key for one in repeated]
        )
        outcomes: list[Outcome] = []
        given: dict[object, _Settled] = {}
        for place, (one, (seq, first_seq, frame)) in enumerate(zip(repeated, rows, strict=True)):
            earlier = segments.unpack(frame, self._decompressor)[seq - first_seq]
            if same_content(one.body, earlier.body):
                outcomes.append(Outcome.DUPLICATE)
                given[place] = _repeat(one)
                continue
            outcomes.append(Outcome.CONFLICT)
            body_digest = content_digest(one.body)
            conflict = (one.run_uid, one.key, body_digest)
            if conflict in given:  # the same one twice in this group
                given[place] = _repeat(one)
                continue
            entry = segments.entry_of(one, seq)
            (packed,) = segments.pack([[entry]], self._compressor)
            given[conflict] = _Settled(*conflict, one.received_ms, packed)
        settled = [*given.values()]
        missed = await self._fetch(_SETTLE, *map(list, zip(*settled, strict=True)), version)
        if missed:
            repeats = [_repeat(settled[n - 1]) for (n,) in missed]
            await self._fetch(_SETTLE, *map(list, zip(*repeats, strict=True)), version)
        return outcomes

    # ----------------------------------------------------------- quarantine

    async def quarantine(self, item: Quarantined, version: int) -> str:
        """Keep a body that was not understood, durably; the id under which it is kept.

        `version` as with `append`.
        """
        raised = quarantined_event(item)
        rows = await self._fetch(
            _QUARANTINE,
            item.quarantine_id,
            digest(item.body),
            item.received_ms,
            _without_nul(item.reason),
            _without_nul(item.detail),
            _without_nul(item.content_type),
            len(item.body),
            self._compressor.compress(item.body),
            *raised,
            version,
        )
        return str(rows[0][0])

    async def release(self, quarantine_id: str) -> bool:
        """Drop an entry of the quarantine; False if there is none by that id."""
        rows = await self._fetch(
            "DELETE FROM quarantine WHERE quarantine_id = $1 RETURNING 1",
            _without_nul(quarantine_id),
        )
        return bool(rows)


class _Settled(NamedTuple):
    """What repeats an earlier callback, or conflicts with it, as the statement wants it."""

    run_uid: str
    key: str
    body_digest: bytes | None
    received_ms: int
    frame: bytes


def _repeat(one: Arrival | _Settled) -> _Settled:
    """Only to be counted."""
    return _Settled(one.run_uid, one.key, None, one.received_ms, b"")


def _group(arrivals: Sequence[Arrival]) -> _Group:
    """Number the callbacks of each run, in the order of the batch, each key once."""
    group = _Group()
    by_run: dict[str, list[int]] = {}
    for place, arrival in enumerate(arrivals):
        by_run.setdefault(arrival.run_uid, []).append(place)
    for run, (run_uid, places) in enumerate(by_run.items(), 1):
        firsts: dict[str, int] = {}
        repeats = 0
        for place in places:
            arrival = arrivals[place]
            first = firsts.setdefault(arrival.key, place)
            if first == place:
                place_of_run = len(firsts) - 1
                group.arrivals[run, place_of_run] = place
                group.run_of.append(run)
                group.place_of.append(place_of_run)
                group.keys.append(arrival.key)
                group.digests.append(digest(arrival.body))
            elif arrivals[first].body == arrival.body:
                group.repeated.setdefault(first, []).append(place)
                repeats += 1
            else:
                group.others.append(place)
        group.runs.append(run_uid)
        group.callbacks.append(len(firsts))
        group.repeats.append(repeats)
    return group


def _without_nul(text: str) -> str:
    """PostgreSQL's text cannot hold it."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
