"""The baselines: a server that does nothing, and the naive receivers that people write.

    python -m tests.bench.receivers N|W|S|P|Q PORT DATABASE

N reads the body and answers 200. W inserts and commits under a lock, one at a time. S does
the same without the lock, so that requests commit each other's rows. P is W in PostgreSQL: a
connection of asyncpg that commits one callback after another; Q does the same over ten. All
run on uvicorn with the options of the collector.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import aiosqlite
import asyncpg
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.store.sqlite.driver import driver


def create_postgres_app(kind: str, url: str) -> Starlette:
    """P and Q: (id, body) in the PostgreSQL at `url`, a commit each."""
    pool: asyncpg.Pool

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        nonlocal pool
        del app
        size = 1 if kind == "P" else 10
        pool = await asyncpg.create_pool(url, min_size=size, max_size=size)
        await pool.execute("CREATE TABLE IF NOT EXISTS naive (id text PRIMARY KEY, body bytea)")
        yield
        await pool.close()

    async def store(request: Request) -> JSONResponse:
        body = await request.body()
        identity = orjson.loads(body)["callback_ref_uid"]
        await pool.execute(
            "INSERT INTO naive VALUES ($1, $2) ON CONFLICT DO NOTHING", identity, body
        )
        return JSONResponse({"status": "stored"})

    return Starlette(routes=[Route("/callbacks", store, methods=["POST"])], lifespan=lifespan)


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
        create_postgres_app(sys.argv[1], sys.argv[3])
        if sys.argv[1] in "PQ"
        else create_app(sys.argv[1], sys.argv[3]),
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="error",
        server_header=False,
    )
