"""Results as files: all in one, or a file for each run in a folder or a bucket.

A part is `run_uid=<uid>/part.<format>`, which readers of partitioned data know (Hive, DuckDB,
Spark, pyarrow); beside it `_version` says what it holds, and is written after it.
"""

from collections.abc import AsyncIterator
from time import time_ns
from typing import Protocol
from urllib.parse import quote

from app.canonical import Json, dumps, parse
from app.crash_points import reach
from app.model import timestamp
from app.sinks.location import FileFormat
from app.sinks.parts import Part, Written
from app.store.views import Fields

_VERSION = "_version"
_PART = "part."


class Place(Protocol):
    """Keeps files by relative paths. Everything raises SinkError."""

    async def open(self) -> None:
        """Reach it, and see that it can be written to."""

    async def close(self) -> None:
        """Let go of it."""

    async def read(self, path: str) -> bytes | None:
        """A small file; None if it is not there."""

    async def put(self, path: str, content: AsyncIterator[bytes]) -> None:
        """Put a file in its place, once it is whole; what `content` raises is passed on."""

    async def names(self, folder: str) -> list[str]:
        """The files in a folder."""

    async def remove(self, path: str) -> None:
        """Remove a file, if it is there."""


class PartFiles:
    """The target of a folder or a bucket."""

    def __init__(self, place: Place, file_format: FileFormat) -> None:
        self._place = place
        self._format = file_format

    async def open(self) -> None:
        """Reach the place."""
        await self._place.open()

    async def close(self) -> None:
        """Let go of it."""
        await self._place.close()

    async def version(self, run_uid: str) -> str | None:
        """As `_version` says, if it is of a file of this format."""
        text = await self._place.read(f"{partition(run_uid)}/{_VERSION}")
        known = _read(text) if text else {}
        return known.get("version") if known.get("file") == self._file else None

    async def prepare(self, fields: Fields) -> list[str]:
        """Nothing to do: each file has the columns of its run."""
        del fields
        return []

    async def write(self, part: Part) -> Written:
        """The file, then what it is; files of other formats go."""
        folder = partition(part.run.run_uid)
        counts: list[int] = []
        await self._place.put(f"{folder}/{self._file}", part.file(self._format, counts.append))
        rows = sum(counts)
        reach("sink.merged")
        said = {
            "run_uid": part.run.run_uid,
            "version": part.version,
            "file": self._file,
            "rows": rows,
            "written_at": timestamp(time_ns() // 1_000_000),
        }
        await self._place.put(f"{folder}/{_VERSION}", _once(dumps(said) + b"\n"))
        for name in await self._place.names(folder):
            if name.startswith(_PART) and name != self._file:
                await self._place.remove(f"{folder}/{name}")
        return Written(rows)

    @property
    def _file(self) -> str:
        return _PART + self._format.extension


def partition(run_uid: str) -> str:
    """The folder of a run, percent-encoded where a path could not hold its uid."""
    return f"run_uid={quote(run_uid, safe=' ~')}"


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _read(text: bytes) -> dict[str, Json]:
    try:
        known = parse(text)
    except (ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}
