"""The baselines for downloads: what one would write in an afternoon, over stored JSON texts.

    python -m tests.bench.prototypes ndjson|csv|parquet DATABASE FILE

reads the records of `store_texts` with sqlite3, writes them to a file, and prints the processor
seconds that this took. Which columns there are is found out before, and costs nothing here.
"""

import csv
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

BATCH_ROWS = 10_000
_OWN = ("run_uid", "result_id", "received_at")


def store_texts(database: Path, texts: Iterable[str]) -> None:
    """Keep records, each as its JSON in a row of a table."""
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE results (data TEXT NOT NULL)")
        connection.executemany("INSERT INTO results VALUES (?)", ((text,) for text in texts))
    connection.close()


def _texts(database: str) -> Iterator[str]:
    query = "SELECT data FROM results ORDER BY rowid"
    return (text for (text,) in sqlite3.connect(database).execute(query))


def _rows(database: str) -> Iterator[dict[str, Any]]:
    for text in _texts(database):
        record = orjson.loads(text)
        row: dict[str, Any] = {}
        _walk(record["data"], "", row)
        _walk(record["custom_data"], "custom_data.", row)
        _walk(record["input"], "input.", row)
        for name in _OWN:
            row[f"_{name}"] = record[name]
        yield row


def _walk(value: dict[str, Any], prefix: str, row: dict[str, Any]) -> None:
    for key, item in value.items():
        if isinstance(item, dict):
            _walk(item, f"{prefix}{key}.", row)
        else:
            row[prefix + key] = item


def _write_ndjson(database: str, path: str) -> float:
    """The baseline B of the figures."""
    started = time.process_time()
    with open(path, "wb") as file:  # noqa: PTH123 - as one would
        for text in _texts(database):  # noqa: FURB122 - likewise
            file.write(text.encode() + b"\n")
    return time.process_time() - started


def _write_csv(database: str, path: str) -> float:
    columns = list(dict.fromkeys(name for row in _rows(database) for name in row))
    started = time.process_time()
    with open(path, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 - as one would
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in _rows(database):
            writer.writerow([_cell(row.get(name)) for name in columns])
    return time.process_time() - started


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return "'" + value if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
    if isinstance(value, list):
        return orjson.dumps(value).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _write_parquet(database: str, path: str) -> float:
    import pyarrow as pa  # noqa: PLC0415 - the others are to be without its memory
    import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

    some = list(islice(_rows(database), BATCH_ROWS))
    schema = pa.Table.from_pylist(some).schema
    for place, field in enumerate(schema):
        if pa.types.is_null(field.type):
            schema = schema.set(place, field.with_type(pa.string()))
    started = time.process_time()
    rows = _rows(database)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while batch := list(islice(rows, BATCH_ROWS)):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    return time.process_time() - started


_WRITERS = {"ndjson": _write_ndjson, "csv": _write_csv, "parquet": _write_parquet}

if __name__ == "__main__":
    print(_WRITERS[sys.argv[1]](*sys.argv[2:]))
