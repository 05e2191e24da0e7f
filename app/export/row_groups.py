"""A Parquet file that is taken away as it grows, one group of rows after another.

Needs the extra `parquet`.
"""

import io
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

MAGIC = b"PAR1"
"""What every file begins and ends with."""

ROWS_MAX = 20_000
BYTES_MAX = 16 * 1024 * 1024
"""Of a group, in memory: the group is what readers take in at once, and what is held here."""

with suppress(NotImplementedError):  # not built for some platforms
    pa.set_memory_pool(pa.jemalloc_memory_pool())  # holds 30 MB less than Arrow's usual one


class RowGroups:
    """Rows in, bytes out. The same rows in the same portions give the same bytes.

    A file begins with `MAGIC`, which is not given here, and is whole only with what `end` gives:
    the footer, without which nothing opens it.
    """

    def __init__(self, schema: pa.Schema, facts: Mapping[str, str]) -> None:
        """`facts` are told in the file's metadata."""
        self._sink = _Sink()
        # Arrow's own schema would be a second one beside Parquet's, and says nothing more.
        self._writer = pq.ParquetWriter(self._sink, schema, compression="zstd", store_schema=False)
        self._writer.add_key_value_metadata(facts)
        self._sink.take()
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self._bytes = 0

    def add(self, batch: pa.RecordBatch) -> bytes:
        """Some rows; what of the file is finished by them."""
        while self._rows + batch.num_rows > ROWS_MAX:
            room = ROWS_MAX - self._rows
            self._hold(batch.slice(0, room))
            batch = batch.slice(room)
            self._write()
        if batch.num_rows:
            self._hold(batch)
        if self._bytes >= BYTES_MAX:
            self._write()
        return self._sink.take()

    def end(self) -> bytes:
        """The rest of the rows, and the footer."""
        if self._rows:
            self._write()
        self._writer.close()
        pa.default_memory_pool().release_unused()
        return self._sink.take()

    def _hold(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes

    def _write(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._waiting))
        self._waiting.clear()
        self._rows = self._bytes = 0


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, piece: Any) -> int:
        """Keep it."""
        self._pieces.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
