"""Which events go to which endpoints."""

from collections.abc import Awaitable, Callable, Sequence

import structlog
from pydantic import ValidationError

from app.event import Event, EventType
from app.fields import lookup_values
from app.notify.endpoint import EVERYTHING, EndpointConfig, read_config
from app.record import json_value
from app.store.outbox_rows import EndpointRow

HasInput = Callable[[str, tuple[tuple[str, str], ...]], Awaitable[bool]]
"""Whether a run has an input whose custom_data holds all of these (path, value) pairs."""

_CACHE_MAX = 10_000

log = structlog.get_logger("dispatcher")


class Addressing:
    """Reads each endpoint's configuration once for each of its versions."""

    def __init__(self, has_input: HasInput) -> None:
        self._has_input = has_input
        self._configs: dict[tuple[str, int], EndpointConfig] = {}
        self._unreadable: set[tuple[str, int]] = set()

    def config(self, row: EndpointRow) -> EndpointConfig:
        """What is set of an endpoint. Raises ValidationError if this version cannot read it."""
        key = (row.endpoint_id, row.version)
        if key not in self._configs:
            if len(self._configs) >= _CACHE_MAX:
                self._configs.clear()
            self._configs[key] = read_config(row.config)
        return self._configs[key]

    def readable(self, rows: Sequence[EndpointRow]) -> list[tuple[EndpointRow, EndpointConfig]]:
        """Endpoints with what is set of them; those that cannot be read wait for who can."""
        found = []
        for row in rows:
            try:
                found.append((row, self.config(row)))
            except ValidationError as error:
                self._complain(row, error)
        return found

    def _complain(self, row: EndpointRow, error: ValidationError) -> None:
        if (row.endpoint_id, row.version) in self._unreadable:
            return
        self._unreadable.add((row.endpoint_id, row.version))
        log.error(
            "an endpoint cannot be read, and gets nothing from here",
            endpoint_id=row.endpoint_id,
            reason=str(error.errors(include_input=False, include_url=False)),
        )

    async def addressed(
        self, events: Sequence[Event], endpoints: Sequence[EndpointRow]
    ) -> list[list[str]]:
        """For each event the endpoints that want it, by id."""
        readable = self.readable(endpoints)
        return [
            [row.endpoint_id for row, config in readable if await self._wants(config, one)]
            for one in events
        ]

    async def _wants(self, config: EndpointConfig, one: Event) -> bool:
        if one.type not in config.event_types and EVERYTHING not in config.event_types:
            return False
        filters = config.filters
        if filters.get("action_name", one.action_name) != one.action_name:
            return False
        if filters.get("scheduled_run_uid", one.scheduled_run_uid) != one.scheduled_run_uid:
            return False
        wanted = config.custom
        if not wanted:
            return True
        if one.type == EventType.INPUT_FAILED:
            custom_data = json_value(one.data)["input"]["custom_data"]
            return set(wanted) <= set(lookup_values(custom_data))
        return bool(one.run_uid) and await self._has_input(one.run_uid, wanted)
