"""A last line of NDJSON that says that the file is whole, and what it is."""

from collections.abc import Callable
from typing import ClassVar

from app.canonical import Json, dumps
from app.export.column_types import Columns
from app.export.formats import NdjsonWriter

TRAILER = "_trailer"


class TrailedNdjsonWriter(NdjsonWriter):
    """NDJSON with a trailer; without one, a file that was cut off at a line looks whole."""

    extension: ClassVar[str] = "ndjson"

    def __init__(self, columns: Columns, trailer: Callable[[], dict[str, Json]]) -> None:
        """`trailer` is asked once all rows are written."""
        super().__init__(columns)
        self._trailer = trailer

    def end(self) -> bytes:
        """The trailer."""
        return dumps({TRAILER: self._trailer()}) + b"\n"
