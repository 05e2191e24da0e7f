"""Parquet: columns with types, in groups of rows, each compressed by itself.

What needs pyarrow is imported when the first rows come, which is on a thread: it takes a while,
and whoever never asks for Parquet need not have it.
"""

from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar

from app import __version__
from app.canonical import Json
from app.export.column_types import Columns
from app.export.records import Result
from app.export.table import Shape, TableWriter, result_lines
from app.export.unparsed import UnparsedResults

if TYPE_CHECKING:
    from pyarrow import Schema

    from app.export.arrow_json import ResultsAsJson
    from app.export.row_groups import RowGroups

_MAGIC = b"PAR1"

_FACTS = {
    "edges-collector.version": __version__,
    "edges-collector.texts": "a value of a column of texts that is no text is its canonical JSON",
}
HELD_BYTES_MAX = 4 * 1024 * 1024
"""Of callbacks that wait to be read together: each time costs as much as some fifty rows."""
_PAUSE_MAX = 64
"""Portions that are not tried, after many that Arrow could not read by itself."""


def is_installed() -> bool:
    """Whether Parquet can be written."""
    return find_spec("pyarrow") is not None


class ParquetWriter(TableWriter[Json]):
    """Columns of the types that the catalogue says; null where a row has nothing.

    Columns of texts hold any other value as canonical JSON. Where a value does not fit into its
    column, MisfitError is raised, so that the file breaks off.
    """

    media_type: ClassVar[str] = "application/vnd.apache.parquet"
    extension: ClassVar[str] = "parquet"
    shape: ClassVar[Shape] = "flat"
    is_compressible: ClassVar[bool] = False

    def __init__(self, columns: Columns) -> None:
        super().__init__(columns)
        self._types = columns
        self._begun: tuple[Schema, RowGroups] | None = None
        self._parsed_lines = result_lines(self)
        self._as_json: ResultsAsJson | None = None
        self._pause = 0
        self._to_skip = 0
        self._held: list[UnparsedResults] = []
        self._held_bytes = 0

    def start(self) -> bytes:
        """The first bytes, by which files of Parquet are known."""
        return _MAGIC

    def as_cells(self, values: Sequence[Json]) -> Sequence[Json]:
        """The values, as they are."""
        return values

    def lines(self, lines: Iterable[Sequence[Json]]) -> bytes:
        """Some rows; nothing comes until a group of them is full."""
        columns = list(zip(*lines, strict=True))
        if not columns:
            return b""
        import pyarrow as pa  # noqa: PLC0415 - needs the extra

        from app.export.arrow_arrays import MisfitError, array_of  # noqa: PLC0415 - likewise

        schema, groups = self._file()
        arrays = []
        for (name, column_type), values in zip(self._types.items(), columns, strict=True):
            try:
                arrays.append(array_of(values, column_type))
            except MisfitError as error:
                raise MisfitError(
                    f"column {name!r} does not hold what is in the data: {error}. The catalogue of"
                    " fields says less than there is: run edges-collector rebuild"
                ) from error
        return groups.add(pa.RecordBatch.from_arrays(arrays, schema=schema))

    def results(self, portion: Sequence[UnparsedResults | Result]) -> bytes:
        """Some results in their flat shape: as `result_lines`, quicker where it can be."""
        unparsed = [one for one in portion if isinstance(one, UnparsedResults)]
        if self._to_skip or len(unparsed) < len(portion):
            self._to_skip = max(0, self._to_skip - 1)
            return self._written() + self._parsed_lines(_parsed(portion))
        self._held += unparsed
        self._held_bytes += sum(len(one.callback.body) for one in unparsed)
        return self._written() if self._held_bytes >= HELD_BYTES_MAX else b""

    def end(self) -> bytes:
        """The rows of the last group, and the footer that makes the file whole."""
        return self._written() + self._file()[1].end()

    def _written(self) -> bytes:
        """Writes the results that are held."""
        held, self._held, self._held_bytes = self._held, [], 0
        if not any(one.data for one in held):
            return b""
        from app.export.arrow_json import ResultsAsJson, UnlikeError  # noqa: PLC0415 - as below

        if self._as_json is None:
            self._as_json = ResultsAsJson(self._types)
        try:
            batch = self._as_json.batch(held)
        except UnlikeError:
            # Likely the next ones are no better, and to try costs as much as it may save.
            self._to_skip = self._pause = min(4 * self._pause + 4, _PAUSE_MAX)
            return self._parsed_lines(_parsed(held))
        self._pause = 0
        return self._file()[1].add(batch)

    def _file(self) -> "tuple[Schema, RowGroups]":
        if self._begun is None:
            import pyarrow as pa  # noqa: PLC0415 - needs the extra

            from app.export.arrow_arrays import arrow_type  # noqa: PLC0415 - likewise
            from app.export.row_groups import RowGroups  # noqa: PLC0415 - likewise

            schema = pa.schema([(name, arrow_type(one)) for name, one in self._types.items()])
            groups = RowGroups(schema, _FACTS)
            self._begun = schema, groups
        return self._begun


def _parsed(portion: Iterable[UnparsedResults | Result]) -> Iterator[Result]:
    for one in portion:
        if isinstance(one, Result):
            yield one
        else:
            yield from one.parsed()
