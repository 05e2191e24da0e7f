"""A folder of this machine as a place for parts."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.sinks.location import SinkError
from app.sinks.whole_file import whole_file


class Folder:
    """Files below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def open(self) -> None:
        """Make the folder, if it is missing."""
        with self._problems():
            await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)

    async def close(self) -> None:
        """Nothing is held."""

    async def read(self, path: str) -> bytes | None:
        """A small file; None if it is not there."""
        with self._problems():
            try:
                return await asyncio.to_thread((self._folder / path).read_bytes)
            except FileNotFoundError:
                return None

    async def put(self, path: str, content: AsyncIterator[bytes]) -> None:
        """By its name only once it is whole."""
        place = self._folder / path
        with self._problems():
            await asyncio.to_thread(place.parent.mkdir, exist_ok=True)
            with whole_file(place) as file:
                async for piece in content:
                    await asyncio.to_thread(file.write, piece)

    async def names(self, folder: str) -> list[str]:
        """The files in a folder."""
        with self._problems():
            return sorted(path.name for path in (self._folder / folder).iterdir())

    async def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        with self._problems():
            (self._folder / path).unlink(missing_ok=True)

    @contextmanager
    def _problems(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SinkError(f"{self._folder} cannot be written: {error}") from error
