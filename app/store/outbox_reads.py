"""Reading events and deliveries for the API, alike in both stores."""

from collections.abc import Sequence

from app.event import Event
from app.store.outbox_rows import AttemptRow, DeliveryRow, NumberedEvent
from app.store.raised import EVENT_COLUMNS
from app.store.spelling import Spelling

_DELIVERY_COLUMNS = ", ".join(DeliveryRow._fields)

# Spelled out, since SQLite uses a partial index only where a statement says what the index does.
_OF_RUN = "run_uid = ? AND run_uid <> ''"
_IN_STATE = {name: f"state = '{name}'" for name in ("pending", "delivered", "failed")}


class OutboxReads(Spelling):
    """Reads of events and deliveries. Everything raises StoreUnavailableError."""

    async def events(
        self,
        *,
        after_no: int,
        limit: int,
        types: Sequence[str] = (),
        run_uid: str | None = None,
        before_no: int | None = None,
    ) -> list[NumberedEvent]:
        """Events in the order in which they are told, after the one with this number.

        With `before_no` the newest first, from before that one.
        """
        conditions: list[str] = ["event_no > ?"]
        values: list[object] = [after_no]
        if before_no is not None:
            conditions.append("event_no < ?")
            values.append(before_no)
        if types:
            condition, value = self._among("type", list(types))
            conditions.append(condition)
            values.append(value)
        if run_uid is not None:
            conditions.append(_OF_RUN)
            values.append(run_uid)
        rows = await self._rows(
            f"SELECT event_no, {EVENT_COLUMNS} FROM {self.outbox_schema}events"
            f" WHERE {' AND '.join(conditions)}"
            f" ORDER BY event_no {'' if before_no is None else 'DESC'} LIMIT ?",
            *values,
            limit,
        )
        return [NumberedEvent(row[0], Event._make(tuple(row)[1:])) for row in rows]

    async def event_no(self, event_id: str) -> int | None:
        """The number of an event; None if there is none by that id, or not any more."""
        rows = await self._rows(
            f"SELECT event_no FROM {self.outbox_schema}events WHERE event_id = ?", event_id
        )
        return int(rows[0][0]) if rows else None

    async def last_event_no(self) -> int:
        """The number of the last event; 0 if there was none yet."""
        rows = await self._rows(f"SELECT next_event_no FROM {self.outbox_schema}relay")
        return int(rows[0][0]) - 1 if rows else 0

    async def deliveries(
        self,
        *,
        endpoint_id: str | None = None,
        run_uid: str | None = None,
        event_no: int | None = None,
        state: str | None = None,
        before_id: str | None = None,
        limit: int,
    ) -> list[DeliveryRow]:
        """Deliveries, newest first, before the one with this id."""
        conditions, values = ["true"], list[object]()
        chosen = (
            ("endpoint_id = ?", endpoint_id),
            (_OF_RUN, run_uid),
            ("event_no = ?", event_no),
        )
        for condition, value in chosen:
            if value is not None:
                conditions.append(condition)
                values.append(value)
        if state is not None:
            conditions.append(_IN_STATE[state])
        if before_id is not None:
            conditions.append("delivery_id < ?")
            values.append(before_id)
        rows = await self._rows(
            f"SELECT {_DELIVERY_COLUMNS} FROM {self.outbox_schema}deliveries"
            f" WHERE {' AND '.join(conditions)} ORDER BY delivery_id DESC LIMIT ?",
            *values,
            limit,
        )
        return [DeliveryRow._make(tuple(row)) for row in rows]

    async def delivery(self, delivery_id: str) -> DeliveryRow | None:
        """One delivery; None if there is none by that id."""
        rows = await self._rows(
            f"SELECT {_DELIVERY_COLUMNS} FROM {self.outbox_schema}deliveries WHERE delivery_id = ?",
            delivery_id,
        )
        return DeliveryRow._make(tuple(rows[0])) if rows else None

    async def attempts(self, run_uid: str, delivery_id: str) -> list[AttemptRow]:
        """The tries of a delivery, oldest first."""
        rows = await self._rows(
            f"SELECT {', '.join(AttemptRow._fields)} FROM {self.outbox_schema}attempts"
            " WHERE run_uid = ? AND delivery_id = ? ORDER BY attempt_no",
            run_uid,
            delivery_id,
        )
        return [AttemptRow._make(tuple(row)) for row in rows]

    async def pending_deliveries(self) -> dict[str, int]:
        """How many deliveries each endpoint waits for; those that wait for none are left out."""
        rows = await self._rows(
            f"SELECT endpoint_id, count(*) FROM {self.outbox_schema}deliveries"
            " WHERE state = 'pending' GROUP BY endpoint_id"
        )
        return {row[0]: int(row[1]) for row in rows}
