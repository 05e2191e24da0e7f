"""Files that are made in the background: one at a time, whole or not at all.

A file is written under another name, and gets its own once all of it is on the disk. A job whose
process died is begun anew by whoever finds its lease run out. Its row knows what the file is.
"""

import asyncio
import contextlib
import os
import re
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from time import monotonic, time
from typing import IO
from uuid import uuid4

import orjson
import structlog

from app.canonical import Json
from app.crash_points import reach
from app.export.stream import OrderChangedError, Written
from app.store.export_jobs import ExportJobs, ExportRow
from app.store.protocol import StoreUnavailableError

TRIES_MAX = 5
POLL_S = 5.0
"""Between looks for what another replica was asked for, or left."""

NOTE_S = 2.0
SWEEP_S = 60.0
PARTS_KEPT_S = 3_600.0
"""What is written for so long without growing is nobody's any more."""

_NAME = re.compile(r"export-([0-9a-f-]{36})(\.[0-9a-f-]{36}\.part)?")

log = structlog.get_logger("exports")


class ExportRefusedError(Exception):
    """The file cannot be made as it was asked for; the message says why."""


class LostError(Exception):
    """The job is somebody else's by now, or nobody's."""


@dataclass(slots=True)
class OpenedFile:
    """A file that is about to be read."""

    content: AsyncIterator[bytes]
    written: Written
    facts: dict[str, Json] = field(default_factory=dict)
    """What is known of it at its start: `media_type`, `disposition`, `rows_expected` and more."""

    async def close(self) -> None:
        """Read no further."""
        if isinstance(self.content, AsyncGenerator):
            await self.content.aclose()


OpenFile = Callable[[Mapping[str, Json]], Awaitable[OpenedFile]]
"""Opens what a request asks for. Raises ExportRefusedError or StoreUnavailableError."""


class ExportFolder:
    """Where files are kept. Names tell nothing, since a folder may be shared."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def file(self, export_id: str) -> Path:
        """The whole file."""
        return self.path / f"export-{export_id}"

    def begin(self, export_id: str) -> tuple[Path, IO[bytes]]:
        """A new file to write, for its owner alone; what was left of earlier tries goes away."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in self.path.glob(f"export-{export_id}.*.part"):
            left.unlink(missing_ok=True)
        part = self.path / f"export-{export_id}.{uuid4()}.part"
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return part, os.fdopen(number, "wb")

    def finish(self, export_id: str, part: Path, file: IO[bytes]) -> None:
        """Have all of it on the disk, and give it its name."""
        file.flush()
        os.fsync(file.fileno())
        file.close()
        reach("export before rename")
        part.rename(self.file(export_id))
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        reach("export after rename")

    def remove(self, export_id: str) -> None:
        """Drop all that there is of a file."""
        for path in (self.file(export_id), *self.path.glob(f"export-{export_id}.*.part")):
            path.unlink(missing_ok=True)

    def sweep(self, states: Mapping[str, str]) -> int:
        """Drop what no job needs, `states` being those of all that need any; how many files."""
        dropped = 0
        for path in self.path.glob("export-*"):
            found = _NAME.fullmatch(path.name)
            if found is None:
                continue
            is_part = found[2] is not None
            with contextlib.suppress(FileNotFoundError):
                is_needed = found[1] in states and (
                    not is_part or path.stat().st_mtime > time() - PARTS_KEPT_S
                )
                if not is_needed:
                    path.unlink()
                    dropped += 1
        return dropped


class Exporter:
    """Makes one file after another, for as long as it runs."""

    def __init__(
        self,
        jobs: ExportJobs,
        folder: ExportFolder,
        open_file: OpenFile,
        *,
        kept_s: float,
        give_way: Callable[[], Awaitable[None]],
    ) -> None:
        """`give_way` returns when the next portion of rows may be read."""
        self._jobs = jobs
        self._folder = folder
        self._open_file = open_file
        self._kept_ms = round(kept_s * 1000)
        self._give_way = give_way
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Say that a file was asked for."""
        self._news.set()

    async def run(self) -> None:
        """Make what is asked for, until cancelled."""
        while True:
            self._news.clear()
            try:
                while (job := await self._jobs.claim()) is not None:
                    await self._make(job)
            except StoreUnavailableError as error:
                log.warning("exports wait", reason=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), POLL_S)

    async def sweep(self) -> None:
        """Let go of files that are over, and of what nobody needs, until cancelled."""
        while True:
            try:
                await self._jobs.expire(self._kept_ms)
                dropped = await asyncio.to_thread(self._folder.sweep, await self._jobs.states())
                if dropped:
                    log.info("export files dropped", files=dropped)
            except (StoreUnavailableError, OSError) as error:
                log.warning("old export files wait to be dropped", reason=str(error))
            await asyncio.sleep(min(SWEEP_S, max(0.5, self._kept_ms / 10_000)))

    async def _make(self, job: ExportRow) -> None:
        """Make a file, and note what became of it."""
        facts: dict[str, Json] = orjson.loads(job.facts)
        facts["problem"] = None
        state = "failed"
        try:
            facts |= await self._written(job, facts)
            state = "done"
        except LostError:
            log.info("export given up: it was dropped, or somebody else has it", id=job.export_id)
            return
        except ExportRefusedError as error:
            facts["problem"] = str(error)
        except (OrderChangedError, StoreUnavailableError) as error:
            log.warning("export to be begun again", export_id=job.export_id, reason=str(error))
            state, facts["problem"] = (
                ("queued", None)
                if job.tries < TRIES_MAX
                else (
                    "failed",
                    f"it was begun {TRIES_MAX} times: {error}",
                )
            )
        except OSError as error:
            facts["problem"] = (
                f"the file cannot be written to {self._folder.path}: {error.strerror or error}."
                " Make room, or let COLLECTOR_EXPORT_DIR name another folder, and ask again"
            )
        except Exception as error:
            # Not log.exception, which shows variables: there may be people's data in them.
            trace = traceback.format_exception(error)
            log.error("export failed unexpectedly", export_id=job.export_id, trace=trace)  # noqa: TRY400
            facts["problem"] = "it failed unexpectedly: see the collector's log"
        if facts["problem"]:
            log.warning("export failed", export_id=job.export_id, reason=facts["problem"])
        kept_ms = None if state == "queued" else self._kept_ms
        if state == "queued":
            await asyncio.sleep(job.tries)
        await self._jobs.settle(job.export_id, state, _text(facts), kept_ms=kept_ms)
        if await self._jobs.one(job.export_id) is None:  # dropped at the last moment
            await asyncio.to_thread(self._folder.remove, job.export_id)

    async def _written(self, job: ExportRow, facts: Mapping[str, Json]) -> dict[str, Json]:
        """Write the file; what is known of it then."""
        if job.tries > TRIES_MAX:
            raise ExportRefusedError(
                f"it was begun {TRIES_MAX} times, and came to no end: see the collector's log"
            )
        opened = await self._open_file(orjson.loads(job.request))
        part, file = await asyncio.to_thread(self._folder.begin, job.export_id)
        digest, size, noted_s = sha256(), 0, float("-inf")
        try:
            async for piece in opened.content:
                await asyncio.to_thread(file.write, piece)
                digest.update(piece)
                size += len(piece)
                reach("export piece")
                if monotonic() - noted_s >= NOTE_S:
                    noted_s = monotonic()
                    now = {**facts, **opened.facts, "rows": opened.written.rows, "bytes": size}
                    if not await self._jobs.note(job.export_id, _text(now)):
                        raise LostError
                await self._give_way()
            # Again, so that nobody else gives another file the name meanwhile.
            if not await self._jobs.note(job.export_id, _text(facts)):
                raise LostError
            await asyncio.to_thread(self._folder.finish, job.export_id, part, file)
        finally:
            await opened.close()
            with contextlib.suppress(OSError):  # what it could not flush it has told already
                file.close()
            part.unlink(missing_ok=True)
        return {
            **opened.facts,
            "rows": opened.written.rows,
            "bytes": size,
            "sha256": digest.hexdigest(),
        }


def _text(facts: Mapping[str, Json]) -> str:
    return orjson.dumps(facts).decode()
