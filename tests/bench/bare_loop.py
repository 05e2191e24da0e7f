"""The baseline for rows: parse bodies and insert their results, and nothing else.

    python -m tests.bench.bare_loop RESULTS DATABASE

RESULTS has the results of one body a line. Prints {"rows_per_s": …}.
"""

import json
import sys
import time
from pathlib import Path

import orjson

from app.store.sqlite.driver import driver

SECONDS = 10
ROWS_PER_COMMIT = 1_000


def main(results: str, database: str) -> None:
    """Insert for ten seconds."""
    with Path(results).open("rb") as file:
        bodies = [
            b'{"callback_ref_uid":"x","run":{"run_uid":"r"},"results":[' + line.strip() + b"]}"
            for line in file
        ]
    connection = driver.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE results (id INTEGER PRIMARY KEY, data BLOB)")
    rows = 0
    started = time.perf_counter()
    pending: list[tuple[bytes]] = []
    while time.perf_counter() - started < SECONDS:
        for body in bodies:
            pending += [(orjson.dumps(item),) for item in orjson.loads(body)["results"]]
            if len(pending) >= ROWS_PER_COMMIT:
                connection.execute("BEGIN")
                connection.executemany("INSERT INTO results (data) VALUES (?)", pending)
                connection.execute("COMMIT")
                rows += len(pending)
                pending = []
    sys.stdout.write(json.dumps({"rows_per_s": rows / (time.perf_counter() - started)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
