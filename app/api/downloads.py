"""Downloads: what is asked of a file, read from the query and from what the reader accepts."""

import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import StreamingResponse

from app.api.parameters import Parameters
from app.api.problems import ProblemError, bad_parameter
from app.canonical import Json
from app.export.column_types import Columns
from app.export.compression import COMPRESSIONS, Compression, Packer
from app.export.csv_writer import SEPARATORS, CsvOptions, CsvWriter
from app.export.formats import FORMATS, NdjsonWriter, Writer
from app.export.parquet_writer import ParquetWriter, is_installed
from app.export.stream import Written
from app.export.table import Shape
from app.export.trailer import TrailedNdjsonWriter
from app.export.xlsx_writer import COLUMNS_MAX, XlsxWriter

SHAPES: tuple[Shape, ...] = ("flat", "record")
INPUT_SHAPES: tuple[Shape, ...] = (*SHAPES, "inputs")
CSV_PARAMETERS = ("bom", "separator", "guard")
PARAMETERS = ("format", "shape", *CSV_PARAMETERS, "compression")
DELTA_PARAMETERS = ("after", "trailer")
"""What every download takes; and those of results."""

_NAME_LENGTH_MAX = 80
_LEAST_FIRST = ("open", "unverified", "incomplete", "complete")


@dataclass(frozen=True, slots=True)
class Download:
    """What a file is to be like."""

    format: type[Writer]
    shape: Shape
    csv: CsvOptions
    compression: Compression | None
    """Of the file itself, as asked for."""
    coding: Compression | None
    """Of its way through HTTP alone; never both."""
    has_trailer: bool = False

    def writer(
        self,
        columns: Columns,
        sheet: str = "Results",
        *,
        trailer: Callable[[], dict[str, Json]] | None = None,
    ) -> Writer:
        """Writes rows with these columns; `trailer` says in the end what the file is.

        Raises a 400 if they are too many for the format.
        """
        if self.has_trailer and trailer is not None:
            return TrailedNdjsonWriter(columns, trailer)
        if self.format is CsvWriter:
            return CsvWriter(columns, self.csv)
        if self.format is XlsxWriter:
            return XlsxWriter(self.fitting(columns), sheet)
        return self.format(columns)

    def fitting(self, columns: Columns) -> Columns:
        """These columns. Raises a 400 if they are too many for the format."""
        if self.format is XlsxWriter and len(columns) > COLUMNS_MAX:
            raise bad_parameter(
                "format",
                f"xlsx has {COLUMNS_MAX:,} columns at most, and these are {len(columns):,};"
                " another format has room, and so has shape=record",
            )
        return columns

    def packer(self) -> Packer:
        """Compresses what the writer wrote."""
        return Packer(self.compression or self.coding)

    def answer(
        self,
        content: AsyncIterator[bytes],
        *names: str | None,
        facts: "Facts | None" = None,
        written: Written | None = None,
    ) -> "FileAnswer":
        """The file, streamed; its name is made of those `names` that are known.

        Headers tell its `facts`; `written` tells how far it is. If the content breaks off, so
        does the connection: never a whole file.
        """
        extension = self.format.extension
        media_type = self.format.media_type
        headers = {"X-Content-Type-Options": "nosniff"}
        if self.compression is not None:
            extension += f".{self.compression.extension}"
            media_type = self.compression.media_type
        elif self.format.is_compressible:
            headers["Vary"] = "Accept-Encoding"
        if self.coding is not None:
            headers["Content-Encoding"] = self.coding.name
        headers["Content-Disposition"] = disposition(names, extension)
        facts, written = facts or Facts(), written or Written()
        answer = FileAnswer(content, media_type=media_type, headers=headers | facts.headers)
        answer.facts, answer.written = facts, written
        return answer


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a file at its start: it is a snapshot, whatever comes meanwhile."""

    completeness: str | None = None
    """The least of the runs in it; None if there are none."""
    runs_open: int = 0
    rows_expected: int | None = None
    """How many rows it will have, if that is known."""
    next_cursor: str | None = None
    """Of a delta."""

    @classmethod
    def of(
        cls,
        states: Mapping[str, int],
        *,
        rows: int | None = None,
        next_cursor: str | None = None,
    ) -> "Facts":
        """Of a file that is made of so many runs of each completeness."""
        least = next((state for state in _LEAST_FIRST if states.get(state)), None)
        return cls(least, states.get(_LEAST_FIRST[0], 0), rows, next_cursor)

    @property
    def headers(self) -> dict[str, str]:
        """As HTTP tells them."""
        headers = {}
        if self.completeness is not None:
            headers["X-Completeness"] = self.completeness
            headers["X-Runs-Open"] = str(self.runs_open)
        if self.next_cursor is not None:
            headers["X-Next-Cursor"] = self.next_cursor
        return headers

    def trailer(self, written: Written) -> dict[str, Json]:
        """As the last line of a file tells them."""
        return {
            "rows": written.rows,
            "next_cursor": self.next_cursor,
            "completeness": self.completeness,
            "runs_open": self.runs_open,
        }


class FileAnswer(StreamingResponse):
    """A file on its way."""

    facts: Facts
    written: Written


def chosen_download(
    request: Request, parameters: Parameters, shapes: Sequence[Shape] = SHAPES
) -> Download | None:
    """The file that is asked for, in one of these shapes; None if a page is.

    Raises a 400 for what does not go together, a 501 for what is not installed.
    `?format=` counts before the Accept header, of which only formats named outright count.
    """
    chosen = _chosen_format(request, parameters)
    if chosen is ParquetWriter and not is_installed():
        raise ProblemError(
            501,
            "Not installed",
            "format: parquet needs pyarrow where the collector runs: pip install"
            " 'edges-collector[parquet]', then start it again",
            parameter="format",
        )
    csv = _csv_options(parameters, is_csv=chosen is CsvWriter)
    name = parameters.choice("compression", tuple(COMPRESSIONS))
    if name is not None and (chosen is None or not chosen.is_compressible):
        formats = ", ".join(name for name, writer in FORMATS.items() if writer.is_compressible)
        raise bad_parameter("compression", f"is for downloads alone, with format one of {formats}")
    has_trailer = "trailer" in parameters and parameters.flag("trailer")
    if has_trailer and chosen is not NdjsonWriter:
        raise bad_parameter("trailer", "is for NDJSON alone; ask for format=ndjson")
    if chosen is None:
        return None
    shape = parameters.choice("shape", shapes)
    accepted = request.headers.getlist("accept-encoding")
    return Download(
        format=chosen,
        shape=next((known for known in shapes if known == shape), chosen.shape),
        csv=csv,
        compression=COMPRESSIONS[name] if name else None,
        coding=None if name or not chosen.is_compressible else accepted_coding(", ".join(accepted)),
        has_trailer=has_trailer,
    )


def _chosen_format(request: Request, parameters: Parameters) -> type[Writer] | None:
    name = parameters.choice("format", list(FORMATS))
    if name is not None:
        return FORMATS[name]
    accepted = [
        part.partition(";")[0].strip() for part in request.headers.get("accept", "").split(",")
    ]
    for media_type in accepted:
        for writer in FORMATS.values():
            named = writer.media_type.partition(";")[0]
            if media_type == named and media_type != "application/json":
                return writer
    return None


def _csv_options(parameters: Parameters, *, is_csv: bool) -> CsvOptions:
    for name in CSV_PARAMETERS:
        if parameters.text(name) is not None and not is_csv:
            raise bad_parameter(name, "is for CSV alone; ask for format=csv")
    return CsvOptions(
        has_bom=parameters.flag("bom"),
        separator=SEPARATORS[parameters.choice("separator", tuple(SEPARATORS)) or "comma"],
        is_guarded=parameters.flag("guard"),
    )


def accepted_coding(accepted: str) -> Compression | None:
    """How a file is to be compressed for a reader with this Accept-Encoding.

    Of codings that it likes as much, zstd comes before gzip; None if it likes none better than
    the file as it is, or says nothing.
    """
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        coding, _, parameter = part.partition(";")
        weights[coding.strip()] = _weight(parameter)
    any_weight = weights.get("*", 0.0)
    best, best_weight = None, 0.0
    for coding in ("zstd", "gzip"):
        weight = weights.get(coding, any_weight)
        if weight > best_weight:
            best, best_weight = COMPRESSIONS[coding], weight
    return best if best_weight >= weights.get("identity", 0.0) else None


def _weight(parameter: str) -> float:
    found = re.fullmatch(r"\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*", parameter)
    if found is not None:
        return float(found[1])
    return 0.0 if parameter.strip() else 1.0  # what is not understood is not relied on


def disposition(names: Sequence[str | None], extension: str) -> str:
    """Content-Disposition of a file that is named after `names`, without those of None.

    `filename` is for old readers, in ASCII; `filename*` keeps other letters (RFC 6266). What
    means something to a file system or a shell is a dash in both.
    """
    latin, full = (
        "-".join(filter(None, map(spelled, filter(None, names)))) + f".{extension}"
        for spelled in (_ascii_name, _safe_name)
    )
    return f"attachment; filename=\"{latin}\"; filename*=UTF-8''{quote(full, safe='')}"


def _safe_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:_NAME_LENGTH_MAX]


def _ascii_name(name: str) -> str:
    letters = [c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c)]
    return _safe_name("".join(letters).encode("ascii", "replace").decode())
