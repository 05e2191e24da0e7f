"""What `--to` means: a file, a folder, objects in a bucket, or a table of a database."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from app.export.compression import COMPRESSIONS, Compression
from app.export.formats import FORMATS, Writer
from app.export.parquet_writer import ParquetWriter, is_installed

Kind = Literal["output", "file", "folder", "objects", "postgresql", "sqlite", "duckdb"]

PARTITION_FORMAT = "parquet"
"""Of a folder or bucket, unless another one is asked for."""

_TABLE_SCHEMES: dict[str, Kind] = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "sqlite": "sqlite",
    "duckdb": "duckdb",
}
_ALIASES = {"jsonl": "ndjson"}
_EXAMPLES = (
    "people.csv, results/, s3://bucket/prefix/, postgresql://USER@HOST/DATABASE#table,"
    " sqlite:///PATH#table or duckdb:///PATH#table"
)
_SECRET_PARAMETERS = ("password", "sslpassword", "passfile")


class SinkError(Exception):
    """What keeps results from a sink. The message says what to do, and holds no password."""


class LocationError(SinkError):
    """What was given names no sink."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How a file is written."""

    writer: type[Writer]
    compression: Compression | None = None

    @property
    def extension(self) -> str:
        """What the names of such files end in, such as `csv.gz`."""
        own = self.writer.extension
        return f"{own}.{self.compression.extension}" if self.compression else own


@dataclass(frozen=True, slots=True)
class Location:
    """A sink, by where it is."""

    kind: Kind
    address: str
    """As the target needs it: a path, a URL without its fragment; it may hold a password."""
    shown: str
    """For people and logs: without a password."""
    file_format: FileFormat | None = None
    """Of files, folders and objects."""
    table: tuple[str, ...] = ()
    """The name of a table, behind that of its schema if one is given."""

    @property
    def path(self) -> Path:
        """The file or folder of this machine that is written to."""
        return Path(self.address)

    @property
    def is_one_file(self) -> bool:
        """Whether all runs go into one file, rather than each in its part."""
        return self.kind in {"file", "output"}

    def without_secrets(self, text: str) -> str:
        """A message of somebody else's, without the secrets of this address."""
        for secret in _secrets(self.address):
            text = text.replace(secret, "***").replace(quote(secret), "***")
        return text


def read_location(
    text: str, format_name: str | None = None, *, partition: bool = False
) -> Location:
    """The sink that `text` names. Raises LocationError, saying what is wrong with it.

    `format_name` is one of `FORMATS`, with `.gz` or `.zst` if files are to be compressed; else
    a file has the one that its name ends in. With `partition` a path is that of a folder.
    """
    if not text:
        raise LocationError(f"the sink has no name: give {_EXAMPLES}")
    scheme, has_scheme, _ = text.partition("://")
    if not has_scheme:
        return _on_disk(text, format_name, partition=partition)
    if scheme == "s3":
        return _objects(text, format_name)
    if scheme in _TABLE_SCHEMES:
        if format_name is not None or partition:
            raise LocationError("a table has no file format and no parts")
        return _table(text, scheme)
    raise LocationError(f"{scheme}:// is no sink that is known: give {_EXAMPLES}")


def _on_disk(text: str, format_name: str | None, *, partition: bool) -> Location:
    if text == "-":
        if partition:
            raise LocationError("what goes to the output has no parts")
        return Location("output", "-", "the output", read_format(format_name or "ndjson"))
    path = Path(text)
    if partition or text.endswith("/") or path.is_dir():
        chosen = read_format(format_name or PARTITION_FORMAT)
        return Location("folder", text, text, chosen)
    if format_name is not None:
        return Location("file", text, text, read_format(format_name))
    _, _, ending = path.name.partition(".")
    while ending:
        try:
            return Location("file", text, text, read_format(ending))
        except LocationError:
            _, _, ending = ending.partition(".")
    raise LocationError(
        f"the name of {text} does not say its format: let it end in one of"
        f" {', '.join('.' + name for name in FORMATS)} (and .gz or .zst), give --format, or a"
        " slash at the end for a folder"
    )


def read_format(name: str) -> FileFormat:
    """The format of this name, such as `csv` or `csv.gz`. Raises LocationError."""
    plain, _, packed = name.lower().partition(".")
    writer = FORMATS.get(_ALIASES.get(plain, plain))
    if writer is None:
        raise LocationError(f"there is no format {plain!r}: it is one of {', '.join(FORMATS)}")
    if writer is ParquetWriter and not is_installed():
        raise LocationError(
            "parquet needs the extra `parquet`: pip install 'edges-collector[parquet]'; or give"
            " another format"
        )
    if not packed:
        return FileFormat(writer)
    for compression in COMPRESSIONS.values():
        if packed == compression.extension:
            if not writer.is_compressible:
                raise LocationError(f"{plain} is compressed by itself: leave .{packed} away")
            return FileFormat(writer, compression)
    raise LocationError(f"there is no compression {packed!r}: it is gz or zst")


def _objects(text: str, format_name: str | None) -> Location:
    bucket, _, prefix = text.removeprefix("s3://").partition("/")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", bucket):
        raise LocationError(f"{text}: name a bucket, as in s3://bucket/prefix/")
    address = f"s3://{bucket}/{prefix.strip('/')}"
    shown = address if address.endswith("/") else f"{address}/"
    return Location("objects", address, shown, read_format(format_name or PARTITION_FORMAT))


def _table(text: str, scheme: str) -> Location:
    kind = _TABLE_SCHEMES[scheme]
    address, _, name = text.partition("#")
    shown_address = _redacted(address)
    if not name:
        raise LocationError(f"{shown_address}: name a table behind a #, as in {scheme}://…#people")
    table = tuple(unquote(part) for part in name.split("."))
    if not all(table) or len(table) > (2 if kind == "postgresql" else 1):
        raise LocationError(
            f"{name!r} is no name of a table: give "
            + ("table, or schema.table" if kind == "postgresql" else "a name without a dot")
        )
    if any("\0" in part for part in table):
        raise LocationError("the name of a table has no NUL")
    if kind != "postgresql":
        address = unquote(address.removeprefix(f"{scheme}:///"))
        if "://" in address or not address:
            raise LocationError(f"{shown_address}: give the path of a file, {scheme}:///PATH#table")
        return Location(kind, address, f"{scheme}:///{address}#{name}", table=table)
    return Location(kind, address, f"{shown_address}#{name}", table=table)


def _redacted(url: str) -> str:
    shown = url
    for secret in sorted(_secrets(url), key=len, reverse=True):
        shown = shown.replace(f":{quote(secret)}@", ":***@").replace(f":{secret}@", ":***@")
        shown = re.sub(rf"((?:{'|'.join(_SECRET_PARAMETERS)})=)[^&]*", r"\1***", shown)
    # What cannot be taken apart is not shown behind its scheme.
    return shown if _is_readable(url) else f"{url.partition('://')[0]}://…"


def _secrets(url: str) -> list[str]:
    """Passwords in a URL, as they are and as they are spelled there."""
    if not _is_readable(url) or "://" not in url:
        return []
    parts = urlsplit(url)
    found = [value for name, value in parse_qsl(parts.query) if name in _SECRET_PARAMETERS]
    if parts.password:
        found += [parts.password, unquote(parts.password)]
    return [secret for secret in found if secret]


def _is_readable(url: str) -> bool:
    try:
        urlsplit(url)
    except ValueError:
        return False
    return True
