"""A bucket as a place for parts: S3, or what speaks like it.

Who may write there, and where it is, the environment says, as for all tools of AWS
(`AWS_ACCESS_KEY_ID`, `AWS_REGION`, `AWS_ENDPOINT_URL` …).
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.sinks.location import Location, SinkError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

try:
    import obstore
    from obstore.exceptions import BaseError
except ImportError as missing:  # the core does without
    raise SinkError(
        "object stores need the extra `s3`: pip install 'edges-collector[s3]'"
    ) from missing

CHUNK_BYTES = 8 * 1024 * 1024
"""Of one request; 10,000 of them make the largest object."""
CHUNKS_AT_ONCE = 3


class Objects:
    """Objects below a prefix."""

    def __init__(self, store: "ObjectStore", prefix: str, shown: str) -> None:
        """`shown` is what to call it in messages."""
        self._store = store
        self._prefix = f"{prefix}/" if prefix else ""
        self._shown = shown

    @classmethod
    def of(cls, location: Location) -> "Objects":
        """Those of an `s3://bucket/prefix/`. Raises SinkError."""
        bucket, _, prefix = location.address.removeprefix("s3://").partition("/")
        try:
            store = obstore.store.S3Store(bucket)
        except BaseError as error:
            raise SinkError(f"{location.shown}: {error}") from error
        return cls(store, prefix, location.shown)

    async def open(self) -> None:
        """See that there is somebody to talk to."""
        await self.read("_version")

    async def close(self) -> None:
        """Nothing is held."""

    async def read(self, path: str) -> bytes | None:
        """A small object; None if it is not there."""
        with self._problems():
            try:
                found = await obstore.get_async(self._store, self._prefix + path)
                return bytes(await found.bytes_async())
            except FileNotFoundError:
                return None

    async def put(self, path: str, content: AsyncIterator[bytes]) -> None:
        """In pieces, so that it need not be in memory; there only once it is whole."""
        with self._problems():
            await obstore.put_async(
                self._store,
                self._prefix + path,
                content,
                chunk_size=CHUNK_BYTES,
                max_concurrency=CHUNKS_AT_ONCE,
            )

    async def names(self, folder: str) -> list[str]:
        """The objects in a folder."""
        found: list[str] = []
        with self._problems():
            async for some in obstore.list(self._store, f"{self._prefix}{folder}/"):
                found += [one["path"].rpartition("/")[2] for one in some]
        return sorted(found)

    async def remove(self, path: str) -> None:
        """Remove an object, if it is there."""
        with self._problems():
            try:
                await obstore.delete_async(self._store, self._prefix + path)
            except FileNotFoundError:
                return

    @contextmanager
    def _problems(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            first, *_ = str(error).splitlines() or [type(error).__name__]
            raise SinkError(f"{self._shown}: {first}") from error
