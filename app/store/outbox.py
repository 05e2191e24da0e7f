"""The outbox: events in the order in which they are told, and deliveries on their way.

What both stores do alike. Statements are written with `?` for each value, in order; a
store adds how a transaction is made, where raised events wait, and how endpoints are leased.
Everything raises StoreUnavailableError.
"""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, NamedTuple

from uuid_utils import uuid7

from app.crash_points import reach
from app.event import Event
from app.store.outbox_rows import DueDelivery, EndpointRow, NumberedEvent, SettledTry
from app.store.raised import EVENT_COLUMNS
from app.store.sink_queue import SinkQueue
from app.store.sink_queue import Transaction as Transaction  # noqa: PLC0414 - exported

RELAYED_AT_ONCE = 1_000
REMOVED_AT_ONCE = 2_000
_ENDPOINT_COLUMNS = ", ".join(EndpointRow._fields)
_ENDPOINTS = f"SELECT {_ENDPOINT_COLUMNS} FROM endpoints ORDER BY endpoint_id"
_DELIVERY_COLUMNS = (
    "delivery_id, run_uid, endpoint_id, event_id, event_no, type, state, due_ms, tries, attempts,"
    " created_ms, finished_ms, last_problem"
)
REMOVAL = "it is being deleted: if it stays, delete it again"
DISABLED_PROBLEM = "the endpoint was disabled when this happened"

# From run to run by the index, and of each only the first one is looked at: a run may have a
# hundred thousand events behind one that waits for its next try.
_FIRST_OF_RUNS = """
    SELECT delivery_id FROM (
        WITH RECURSIVE runs (run_uid) AS (
            SELECT min(run_uid) FROM deliveries
            WHERE endpoint_id = ? AND state = 'pending' AND run_uid > ''
            UNION ALL
            SELECT (
                SELECT min(n.run_uid) FROM deliveries n
                WHERE n.endpoint_id = ? AND n.state = 'pending' AND n.run_uid > runs.run_uid
            ) FROM runs WHERE runs.run_uid IS NOT NULL
        )
        SELECT (
            SELECT CASE WHEN f.due_ms <= ? THEN f.delivery_id END FROM deliveries f
            WHERE f.endpoint_id = ? AND f.state = 'pending' AND f.run_uid = runs.run_uid
            ORDER BY f.event_no, f.delivery_id LIMIT 1
        ) AS delivery_id FROM runs
    ) AS first WHERE delivery_id IS NOT NULL LIMIT ?
"""

Addressed = Callable[[Sequence[Event], Sequence[EndpointRow]], Awaitable[Sequence[Sequence[str]]]]
"""Says for each event to which endpoints it goes, by id."""


class Raised(NamedTuple):
    """Events that wait to be taken over, and what to do once they are."""

    events: list[Event]
    taken: Any
    """How far they go, as the store marks it; None if there is nothing to mark."""
    is_all: bool
    """False if more are waiting."""


class Relayed(NamedTuple):
    """What was taken over."""

    events: list[NumberedEvent]
    endpoint_ids: set[str]
    """Those that have something to deliver now."""
    is_all: bool


class Outbox(SinkQueue):
    """Reads and writes the outbox of either store."""

    for_update = ""
    """What makes a SELECT hold the rows that it reads."""

    @abstractmethod
    async def _raised(self, transaction: Transaction) -> Raised:
        """Raised events, in order; within a run in the order of their causes."""

    @abstractmethod
    async def _mark(self, transaction: Transaction, taken: Any) -> None:
        """Within the transaction that takes them over."""

    async def _mark_idle(self, transaction: Transaction, taken: Any) -> None:
        """Where nothing was raised."""

    async def _forget(self, taken: Any) -> None:
        """After its commit."""

    async def _tell(self, transaction: Transaction) -> None:
        """Let other replicas know, once this is committed, that there is something new."""

    # ------------------------------------------------------------------ events

    async def relay(self, addressed: Addressed, now_ms: int) -> Relayed:
        """Take over events that were raised: number them, and make their deliveries.

        All in one transaction: an event that can be seen has its deliveries.
        """
        async with self._transaction() as transaction:
            ((next_no,),) = await transaction.fetch(
                f"SELECT next_event_no FROM relay{self.for_update}"
            )
            raised = await self._raised(transaction)
            if not raised.events:
                await self._mark_idle(transaction, raised.taken)
                return Relayed([], set(), raised.is_all)
            fresh = await self._fresh(transaction, raised.events)
            numbered, endpoint_ids = await self._publish(
                transaction, fresh, next_no, addressed, now_ms
            )
            await self._mark(transaction, raised.taken)
            reach("relay before commit")
        reach("relay after commit")
        await self._forget(raised.taken)
        return Relayed(numbered, endpoint_ids, raised.is_all)

    async def _publish(
        self,
        transaction: Transaction,
        fresh: Sequence[Event],
        next_no: int,
        addressed: Addressed,
        now_ms: int,
    ) -> tuple[list[NumberedEvent], set[str]]:
        """Write events under their numbers, with deliveries to those that want them."""
        if not fresh:
            return [], set()
        numbered = [NumberedEvent(no, one) for no, one in enumerate(fresh, next_no)]
        await transaction.many(
            f"INSERT INTO events (event_no, {EVENT_COLUMNS}) VALUES ({_marks(9)})",
            [(no, *one) for no, one in numbered],
        )
        await transaction.execute("UPDATE relay SET next_event_no = ?", next_no + len(fresh))
        rows = [EndpointRow(*row) for row in await transaction.fetch(_ENDPOINTS)]
        endpoints = {row.endpoint_id: row for row in rows}
        endpoint_ids: set[str] = set()
        if endpoints:
            targets = await addressed(fresh, list(endpoints.values()))
            deliveries: list[tuple[object, ...]] = []
            for (no, one), wanted in zip(numbered, targets, strict=True):
                for endpoint_id in wanted:
                    deliveries.append(_new_delivery(endpoints[endpoint_id], one, no, now_ms))
                    endpoint_ids.add(endpoint_id)
            await self._insert_deliveries(transaction, deliveries)
        return numbered, endpoint_ids

    async def _insert_deliveries(
        self, transaction: Transaction, rows: Sequence[tuple[object, ...]]
    ) -> None:
        if rows:
            await transaction.many(
                f"INSERT INTO deliveries ({_DELIVERY_COLUMNS}) VALUES ({_marks(13)})", rows
            )

    @abstractmethod
    async def _fresh(self, transaction: Transaction, events: Sequence[Event]) -> list[Event]:
        """Those of these events that are not in the outbox yet, each once."""

    async def publish(self, transaction: Transaction, one: Event, addressed: Addressed) -> None:
        """Write one event that something in this transaction causes."""
        ((next_no,),) = await transaction.fetch(f"SELECT next_event_no FROM relay{self.for_update}")
        fresh = await self._fresh(transaction, [one])
        await self._publish(transaction, fresh, next_no, addressed, one.time_ms)

    # --------------------------------------------------------------- endpoints

    async def endpoints(self) -> list[EndpointRow]:
        """All endpoints, by id, which is by age."""
        return [EndpointRow(*row) for row in await self._fetch(_ENDPOINTS)]

    async def add_endpoint(self, row: EndpointRow) -> None:
        """Keep a new endpoint. One that is there under its id stays as it is."""
        async with self._transaction() as transaction:
            await transaction.execute(
                f"INSERT INTO endpoints ({_ENDPOINT_COLUMNS}) VALUES ({_marks(10)})"
                " ON CONFLICT DO NOTHING",
                *row,
            )
            await self._tell(transaction)

    async def change_endpoint(self, row: EndpointRow) -> bool:
        """Keep a change of an endpoint whose version was `row.version` until now.

        The version rises. False, and nothing changed, if somebody else changed it meanwhile.
        """
        async with self._transaction() as transaction:
            changed = await transaction.execute(
                "UPDATE endpoints SET state = ?, reason = ?, config = ?, secrets = ?,"
                " version = version + 1, updated_ms = ?, failing_since_ms = ?"
                " WHERE endpoint_id = ? AND version = ?",
                row.state, row.reason, row.config, row.secrets,
                row.updated_ms, row.failing_since_ms, row.endpoint_id, row.version,
            )  # fmt: skip
            await self._tell(transaction)
        return bool(changed)

    async def remove_endpoint(self, endpoint_id: str) -> bool:
        """Drop an endpoint with its deliveries; False if there is none by that id.

        Portion by portion, so that others go on meanwhile. Cut off, it is left disabled.
        """
        async with self._transaction() as transaction:
            await transaction.execute(
                "UPDATE endpoints SET state = 'disabled', reason = ?, version = version + 1"
                " WHERE endpoint_id = ?",
                REMOVAL, endpoint_id,
            )  # fmt: skip
            await self._tell(transaction)
        while True:
            async with self._transaction() as transaction:
                # While the numbers are held, nobody makes deliveries to it.
                await transaction.fetch(f"SELECT next_event_no FROM relay{self.for_update}")
                rows = await transaction.fetch(
                    "SELECT run_uid, delivery_id FROM deliveries WHERE endpoint_id = ? LIMIT ?",
                    endpoint_id, REMOVED_AT_ONCE,
                )  # fmt: skip
                await self._drop_deliveries(transaction, rows)
                if len(rows) < REMOVED_AT_ONCE:
                    removed = await transaction.execute(
                        "DELETE FROM endpoints WHERE endpoint_id = ?", endpoint_id
                    )
                    await self._tell(transaction)
                    return bool(removed)

    async def _drop_deliveries(self, transaction: Transaction, rows: Sequence[Any]) -> None:
        keys = [tuple(row) for row in rows]
        for table in ("attempts", "deliveries"):
            await transaction.many(
                f"DELETE FROM {table} WHERE run_uid = ? AND delivery_id = ?", keys
            )

    async def disable_endpoint(
        self, endpoint_id: str, reason: str, one: Event, addressed: Addressed
    ) -> bool:
        """Disable an active endpoint, and raise `one`; False if it is not active any more.

        What waits for it has failed.
        """
        async with self._transaction() as transaction:
            changed = await transaction.execute(
                "UPDATE endpoints SET state = 'disabled', reason = ?, version = version + 1,"
                " updated_ms = ? WHERE endpoint_id = ? AND state = 'active'",
                reason, one.time_ms, endpoint_id,
            )  # fmt: skip
            if changed:
                await transaction.execute(
                    "UPDATE deliveries SET state = 'failed', finished_ms = ?,"
                    " last_problem = coalesce(last_problem, ?)"
                    " WHERE endpoint_id = ? AND state = 'pending'",
                    one.time_ms, DISABLED_PROBLEM, endpoint_id,
                )  # fmt: skip
                await self.publish(transaction, one, addressed)
                await self._tell(transaction)
        return bool(changed)

    # -------------------------------------------------------------- dispatching

    @abstractmethod
    async def lease(self, holder: str, lease_s: float) -> list[EndpointRow]:
        """Active endpoints whose deliveries are `holder`'s alone for the next `lease_s`."""

    async def release(self, holder: str) -> None:
        """Let others have what `holder` leases."""

    async def due(
        self, endpoint_id: str, now_ms: int, *, limit: int, is_ordered: bool
    ) -> list[DueDelivery]:
        """Deliveries of an endpoint that are due, first due first.

        Where they are ordered, only the first pending one of each run, and at most `limit` of
        these besides as many of no run.
        """
        if not is_ordered:
            return await self._due("true", endpoint_id, now_ms, limit)
        found = await self._due("d.run_uid = ''", endpoint_id, now_ms, limit)
        first = await self._fetch(
            _FIRST_OF_RUNS, endpoint_id, endpoint_id, now_ms, endpoint_id, limit
        )
        if first:
            ids = [row[0] for row in first]
            chosen = f"d.delivery_id IN ({_marks(len(ids))})"
            found += await self._due(chosen, endpoint_id, now_ms, limit, *ids)
        return found

    async def _due(
        self, chosen: str, endpoint_id: str, now_ms: int, limit: int, *ids: str
    ) -> list[DueDelivery]:
        event_columns = ", ".join(f"e.{name}" for name in Event._fields)
        # With + 0 the time chooses no index: few are chosen already.
        due = "d.due_ms" if chosen == "true" else "d.due_ms + 0"
        rows = await self._fetch(
            "SELECT d.delivery_id, d.run_uid, d.event_id, d.event_no, d.type, d.tries,"
            f" d.attempts, d.created_ms, {event_columns}"
            " FROM deliveries d LEFT JOIN events e"
            " ON e.run_uid = d.run_uid AND e.event_id = d.event_id"
            f" WHERE {chosen} AND d.endpoint_id = ? AND d.state = 'pending' AND {due} <= ?"
            f" ORDER BY {due}, d.event_no LIMIT ?",
            *ids, endpoint_id, now_ms, limit,
        )  # fmt: skip
        return [
            DueDelivery._make([*row[:8], Event(*row[8:]) if row[8] is not None else None])
            for row in map(tuple, rows)
        ]

    async def next_due_ms(self, endpoint_id: str, after_ms: int) -> int | None:
        """When the next delivery of an endpoint is due that is not due by `after_ms`."""
        rows = await self._fetch(
            "SELECT due_ms FROM deliveries WHERE endpoint_id = ? AND state = 'pending'"
            " AND due_ms > ? ORDER BY due_ms LIMIT 1",
            endpoint_id, after_ms,
        )  # fmt: skip
        return int(rows[0][0]) if rows else None

    async def settle(self, tries: Sequence[SettledTry]) -> None:
        """Record what came of tries, all in one transaction."""
        async with self._transaction() as transaction:
            await transaction.many(
                "INSERT INTO attempts (run_uid, delivery_id, attempt_no, at_ms, took_ms, status,"
                f" problem, answer) VALUES ({_marks(8)}) ON CONFLICT DO NOTHING",
                [
                    (one.run_uid, one.delivery_id, one.attempt_no, one.at_ms, one.took_ms,
                     one.status, one.problem, one.answer)
                    for one in tries
                ],
            )  # fmt: skip
            await transaction.many(
                _SETTLE,
                [
                    (one.attempt_no, one.status, one.problem,
                     one.tries - 1, one.state, one.tries - 1, one.due_ms,
                     one.tries - 1, None if one.state == "pending" else one.at_ms + one.took_ms,
                     one.tries - 1, one.tries, one.run_uid, one.delivery_id)
                    for one in tries
                ],
            )  # fmt: skip
            succeeded = {one.endpoint_id: one.at_ms for one in tries if one.state == "delivered"}
            failed: dict[str, int] = {}
            for one in tries:
                if one.state != "delivered":
                    failed.setdefault(one.endpoint_id, one.at_ms)
            await transaction.many(
                "UPDATE endpoints SET failing_since_ms = coalesce(failing_since_ms, ?)"
                " WHERE endpoint_id = ?",
                [
                    (at_ms, endpoint_id)
                    for endpoint_id, at_ms in sorted(failed.items())
                    if endpoint_id not in succeeded
                ],
            )
            await transaction.many(
                "UPDATE endpoints SET failing_since_ms = NULL, delivered_ms = ?"
                " WHERE endpoint_id = ?",
                [(at_ms, endpoint_id) for endpoint_id, at_ms in sorted(succeeded.items())],
            )
            reach("deliveries before commit")
        reach("deliveries after commit")

    # ------------------------------------------------------------- by hand

    async def add_test(self, endpoint_id: str, event_id: str, kind: str, now_ms: int) -> str:
        """A delivery without an event, due now; its id."""
        delivery_id = str(uuid7())
        row = (delivery_id, "", endpoint_id, event_id, 0, kind, "pending", now_ms, 0, 0, now_ms,
               None, None)  # fmt: skip
        async with self._transaction() as transaction:
            await self._insert_deliveries(transaction, [row])
            await self._tell(transaction)
        return delivery_id

    async def redeliver(self, delivery_id: str, now_ms: int) -> bool:
        """Have a delivery tried again, from the first try on; False if there is none."""
        async with self._transaction() as transaction:
            changed = await transaction.execute(
                f"{_REDELIVER} WHERE delivery_id = ?", now_ms, delivery_id
            )
            await self._tell(transaction)
        return bool(changed)

    async def redeliver_failed(self, endpoint_id: str, since_ms: int, now_ms: int) -> int:
        """Have all deliveries tried again that failed for good since then; how many."""
        async with self._transaction() as transaction:
            await self._tell(transaction)
            return await transaction.execute(
                f"{_REDELIVER} WHERE endpoint_id = ? AND state = 'failed' AND finished_ms >= ?",
                now_ms, endpoint_id, since_ms,
            )  # fmt: skip

    async def redeliver_run(
        self, row: EndpointRow, run_uid: str, addressed: Addressed, now_ms: int
    ) -> int:
        """Deliver all events of a run that an endpoint wants, once more; how many."""
        async with self._transaction() as transaction:
            found = await transaction.fetch(
                f"SELECT event_no, {EVENT_COLUMNS} FROM events"
                " WHERE run_uid = ? AND run_uid <> '' ORDER BY event_no",
                run_uid,
            )
            numbered = [NumberedEvent(no, Event(*rest)) for no, *rest in found]
            targets = await addressed([one for _, one in numbered], [row])
            rows = [
                _new_delivery(row, one, no, now_ms)
                for (no, one), wanted in zip(numbered, targets, strict=True)
                if wanted
            ]
            await self._insert_deliveries(transaction, rows)
            await self._tell(transaction)
        return len(rows)

    async def prune(self, before_ms: int, *, limit: int) -> int:
        """Drop settled deliveries and events of before then, at most so many each; how many.

        An event stays as long as a delivery of it does, so that this can be sent again.
        """
        async with self._transaction() as transaction:
            rows = await transaction.fetch(
                "SELECT run_uid, delivery_id FROM deliveries WHERE state <> 'pending'"
                f" AND finished_ms < ? ORDER BY finished_ms LIMIT ?{self.for_update}",
                before_ms, limit,
            )  # fmt: skip
            await self._drop_deliveries(transaction, rows)
            events = await transaction.execute(
                "DELETE FROM events WHERE event_no IN (SELECT event_no FROM events e"
                " WHERE e.time_ms < ? AND NOT EXISTS (SELECT 1 FROM deliveries d"
                " WHERE d.event_no = e.event_no) ORDER BY time_ms LIMIT ?)",
                before_ms, limit,
            )  # fmt: skip
        return len(rows) + events

    # -------------------------------------------------------------- erasing

    async def erase_run(self, run_uid: str, limit: int) -> int:
        """Drop a portion of a run's events with their deliveries; how many rows went."""
        async with self._transaction() as transaction:
            await self._secure(transaction)
            rows = await transaction.fetch(
                "SELECT run_uid, delivery_id FROM deliveries WHERE run_uid = ? LIMIT ?",
                run_uid, limit,
            )  # fmt: skip
            await self._drop_deliveries(transaction, rows)
            events = 0
            if len(rows) < limit:
                events = await transaction.execute(
                    "DELETE FROM events WHERE event_no IN"
                    " (SELECT event_no FROM events WHERE run_uid = ? AND run_uid <> '' LIMIT ?)",
                    run_uid, limit,
                )  # fmt: skip
        return len(rows) + events

    async def erase_from_events(
        self, without: Callable[[str], str | None], after_no: int, limit: int
    ) -> tuple[int | None, int]:
        """Change what of a portion of events `without` changes; what was answered to it goes.

        The number of the last event looked at, None behind the last one of all; and how many
        were changed.
        """
        async with self._transaction() as transaction:
            await self._secure(transaction)
            rows = await transaction.fetch(
                "SELECT event_no, data FROM events WHERE event_no > ? ORDER BY event_no LIMIT ?",
                after_no, limit,
            )  # fmt: skip
            changed = [(data, no) for no, text in rows if (data := without(text)) is not None]
            await transaction.many("UPDATE events SET data = ? WHERE event_no = ?", changed)
            await transaction.many(
                "UPDATE attempts SET answer = '' WHERE (run_uid, delivery_id) IN"
                " (SELECT run_uid, delivery_id FROM deliveries WHERE event_no = ?)",
                [(no,) for _, no in changed],
            )
        return (rows[-1][0] if len(rows) == limit else None), len(changed)

    async def _secure(self, transaction: Transaction) -> None:
        """Have what this transaction drops leave no trace, as far as the store can see to it."""


# One that was asked for anew while it was tried has another number of tries, and is due again.
_SETTLE = """
    UPDATE deliveries SET attempts = ?, last_status = ?, last_problem = ?,
        state = CASE WHEN tries = ? THEN ? ELSE state END,
        due_ms = CASE WHEN tries = ? THEN ? ELSE due_ms END,
        finished_ms = CASE WHEN tries = ? THEN ? ELSE finished_ms END,
        tries = CASE WHEN tries = ? THEN ? ELSE tries END
    WHERE run_uid = ? AND delivery_id = ? AND state = 'pending'
"""
_REDELIVER = "UPDATE deliveries SET state = 'pending', due_ms = ?, tries = 0, finished_ms = NULL"


def _new_delivery(
    endpoint: EndpointRow, one: Event, event_no: int, now_ms: int
) -> tuple[object, ...]:
    """A row of `_DELIVERY_COLUMNS`. What goes to a disabled endpoint has failed already."""
    is_off = endpoint.state == "disabled"
    return (
        str(uuid7()),
        one.run_uid,
        endpoint.endpoint_id,
        one.event_id,
        event_no,
        one.type,
        "failed" if is_off else "pending",
        now_ms,
        0,
        0,
        now_ms,
        now_ms if is_off else None,
        DISABLED_PROBLEM if is_off else None,
    )


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def unique(events: Sequence[Event], known: Collection[str]) -> list[Event]:
    """Those of these events that are not known, each once, in order."""
    fresh: dict[str, Event] = {}
    for one in events:
        if one.event_id not in known:
            fresh.setdefault(one.event_id, one)
    return list(fresh.values())
