"""Standing sinks: which runs go where by themselves, and where that may be."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.event import Event, EventType
from app.notify.sealing import Seal
from app.sinks.location import Location, LocationError, read_location
from app.store.sink_rows import SinkRow
from app.store.views import CustomFilter, ResultFilter, RunFilter

CUSTOM = "custom_data."
_PLAIN_FILTERS = ("action_name", "scheduled_run_uid")

VERIFIED = (EventType.RUN_COMPLETED, EventType.RUN_INCOMPLETE)
"""What has a run written: it is proven whole, or no more is to be had."""

ENDED = (
    EventType.RUN_SUCCEEDED,
    EventType.RUN_PARTIAL_SUCCEEDED,
    EventType.RUN_FAILED,
    EventType.RUN_BLOCKED,
    EventType.RUN_STOPPED,
)
"""Likewise, where nobody can prove anything: without a key of the Edges API."""

HasInput = Callable[[str, tuple[CustomFilter, ...]], Awaitable[bool]]
"""Whether a run has an input whose custom_data holds all of these."""


class SinkConfig(BaseModel):
    """What may be set of a sink, and is no secret. Raises ValidationError."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Annotated[
        str | None,
        Field(
            max_length=40,
            description="Of the files in a folder or bucket: such as `csv` or `ndjson.zst`; by"
            " default `parquet`.",
        ),
    ] = None
    filters: Annotated[
        dict[str, str],
        Field(
            max_length=20,
            description="Only runs with this `action_name`, `scheduled_run_uid`, or with inputs of"
            " this `custom_data.<path>`, and of these only the results of such inputs.",
        ),
    ] = {}
    description: Annotated[str, Field(max_length=1000)] = ""

    @field_validator("filters")
    @classmethod
    def _are_known(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name not in _PLAIN_FILTERS and not (name.startswith(CUSTOM) and name != CUSTOM):
                known = ", ".join(_PLAIN_FILTERS)
                raise ValueError(f"{name}: it is one of {known} or custom_data.<path>")
        return value

    @property
    def custom(self) -> tuple[CustomFilter, ...]:
        """The filters by custom_data."""
        return tuple(
            (name.removeprefix(CUSTOM), value)
            for name, value in self.filters.items()
            if name.startswith(CUSTOM)
        )

    @property
    def chosen_runs(self) -> RunFilter:
        """The runs that it is for."""
        return RunFilter(
            action_name=self.filters.get("action_name"),
            scheduled_run_uid=self.filters.get("scheduled_run_uid"),
            custom=self.custom,
        )

    @property
    def chosen_results(self) -> ResultFilter:
        """The results of these that it is for."""
        return ResultFilter(custom=self.custom)

    async def wants(self, one: Event, has_input: HasInput) -> bool:
        """Whether the run of an event is among these."""
        for name, value in (
            ("action_name", one.action_name),
            ("scheduled_run_uid", one.scheduled_run_uid),
        ):
            if self.filters.get(name, value) != value:
                return False
        return not self.custom or await has_input(one.run_uid, self.custom)


def read_config(text: str) -> SinkConfig:
    """As the store keeps it. Raises ValidationError if this version cannot read it."""
    return SinkConfig.model_validate_json(text)


def standing_location(to: str, format_name: str | None, folder: Path | None) -> Location:
    """Where a standing sink writes to. Raises LocationError if it may not, or cannot.

    Files and folders of this machine are below `folder`, or nowhere if there is none: whoever
    may make a sink is not thereby to write anywhere.
    """
    location = read_location(to, format_name, partition="://" not in to)
    if location.kind == "output":
        raise LocationError("a sink has no output to write to")
    if location.kind not in {"folder", "sqlite", "duckdb"}:
        return location
    if folder is None:
        raise LocationError(
            "no files may be written on the collector's machine: COLLECTOR_SINK_DIR names a folder"
            " below which they may"
        )
    base = folder.resolve()
    path = (base / location.address).resolve()
    if path == base or not path.is_relative_to(base):
        raise LocationError(f"{location.shown} is not below the folder of COLLECTOR_SINK_DIR")
    return Location(location.kind, str(path), location.shown, location.file_format, location.table)


def sealed_address(seal: Seal, sink_id: str, to: str) -> str:
    """As the store keeps it: it may hold a password."""
    return seal.seal(to, sink_id)


def opened_address(seal: Seal, row: SinkRow) -> str:
    """Where a sink writes to, as it was given. Raises SealError."""
    return seal.open(row.secrets, row.sink_id)


def shown_address(to: str) -> str:
    """An address without its password; it is one that `standing_location` took."""
    is_table = "://" in to and not to.startswith("s3://")
    return read_location(to, None if is_table else "ndjson", partition="://" not in to).shown
