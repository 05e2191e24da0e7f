"""The baselines: a server that does nothing, and the naive receivers that people write.

    python -m tests.bench.receivers N|W|S PORT DATABASE

N reads the body and answers 200. W inserts and commits under a lock, one at a time. S does
the same without the lock, so that requests commit each other's rows. All run on uvicorn
with the options of the collector.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import aiosqlite
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.store.sqlite.driver import driver


def create_app(kind: str, database: str) -> Starlette:
    """The receiver of one kind; W and S keep (id, body) in `database`, fsync'ed."""
    lock: contextlib.AbstractAsyncContextManager[object] = (
        asyncio.Lock() if kind == "W" else contextlib.nullcontext()
    )
    connection: aiosqlite.Connection

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        nonlocal connection
        del app
        connection = await aiosqlite.Connection(
            lambda: driver.connect(database), iter_chunk_size=64
        )
        await connection.execute("PRAGMA journal_mode = WAL")
        await connection.execute("PRAGMA synchronous = FULL")
        await connection.execute("CREATE TABLE callbacks (id TEXT PRIMARY KEY, body BLOB)")
        yield
        await connection.close()

    async def read(request: Request) -> JSONResponse:
        await request.body()
        return JSONResponse({"status": "ok"})

    async def store(request: Request) -> JSONResponse:
        body = await request.body()
        identity = orjson.loads(body)["callback_ref_uid"]
        async with lock:
            await connection.execute(
                "INSERT OR IGNORE INTO callbacks VALUES (?, ?)", (identity, body)
            )
            await connection.commit()
        return JSONResponse({"status": "stored"})

    handler = read if kind == "N" else store
    return Starlette(
        routes=[Route("/callbacks", handler, methods=["POST"])],
        lifespan=None if kind == "N" else lifespan,
    )


if __name__ == "__main__":
    uvicorn.run(
        create_app(sys.argv[1], sys.argv[3]),
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="error",
        server_header=False,
    )
