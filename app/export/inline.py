"""All results of a run at once, where they are few enough to be sent along."""

from collections.abc import Sequence

from app.canonical import dumps
from app.export.layouts import result_record
from app.export.stream import results, snapshot
from app.record import Record
from app.store.reader import Reader
from app.store.views import ResultFilter


async def few_results(
    reader: Reader, run_uid: str, result_keys: Sequence[str], bytes_max: int
) -> list[Record] | None:
    """The results of a run as records; None if their JSON takes more than `bytes_max`."""
    run = await reader.run(run_uid)
    if run is None:
        return []
    found: list[Record] = []
    size = 0
    async for portion in results(reader, await snapshot(reader, run), ResultFilter(), result_keys):
        for result in portion:
            record = result_record(result)
            size += len(dumps(record)) + 1
            if size > bytes_max:
                return None
            found.append(record)
    return found
