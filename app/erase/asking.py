"""How an erasure begins: with a row that is durable before anything is erased."""

from time import time_ns

from uuid_utils import uuid7

from app.crash_points import reach
from app.store.erasures import PERSON, Counts, ErasureRow, Progress
from app.store.protocol import Store


async def new_erasure(
    store: Store,
    kind: str,
    *,
    by: str,
    run_uid: str | None = None,
    field: str | None = None,
    value: str = "",
) -> ErasureRow:
    """Ask for an erasure; the row as it is kept. Of a person's value only a digest is.

    Once it returns, nothing comes in any more that is to be erased.
    """
    erasures = store.erasures
    digest = None if field is None else await erasures.digest_of(field, value)
    row = ErasureRow(
        str(uuid7()),
        kind,
        run_uid,
        field if kind == PERSON else None,
        digest,
        by,
        time_ns() // 1_000_000,
        "{}",
        "{}",
    ).moved(Progress(erasures.first_step(kind)), Counts())
    await erasures.add(row)
    reach("erasure asked")
    return row
