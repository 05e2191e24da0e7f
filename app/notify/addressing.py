"""Which events go to which endpoints."""

from collections.abc import Awaitable, Callable, Sequence

from app.event import Event, EventType
from app.fields import lookup_values
from app.notify.endpoint import EVERYTHING, EndpointConfig
from app.record import json_value
from app.store.outbox_rows import EndpointRow

HasInput = Callable[[str, tuple[tuple[str, str], ...]], Awaitable[bool]]
"""Whether a run has an input whose custom_data holds all of these (path, value) pairs."""

_CACHE_MAX = 10_000


class Addressing:
    """Reads each endpoint's configuration once for each of its versions."""

    def __init__(self, has_input: HasInput) -> None:
        self._has_input = has_input
        self._configs: dict[tuple[str, int], EndpointConfig] = {}

    def config(self, row: EndpointRow) -> EndpointConfig:
        """What is set of an endpoint."""
        key = (row.endpoint_id, row.version)
        if key not in self._configs:
            if len(self._configs) >= _CACHE_MAX:
                self._configs.clear()
            self._configs[key] = EndpointConfig.model_validate_json(row.config)
        return self._configs[key]

    async def addressed(
        self, events: Sequence[Event], endpoints: Sequence[EndpointRow]
    ) -> list[list[str]]:
        """For each event the endpoints that want it, by id."""
        configs = [(row.endpoint_id, self.config(row)) for row in endpoints]
        return [
            [endpoint_id for endpoint_id, config in configs if await self._wants(config, one)]
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
