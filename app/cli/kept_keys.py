"""Keys of the API as commands find them: at a running server, or in a database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from time import time_ns
from typing import Protocol, TypeVar

from app.api.access import ADMIN_KEY_ID, LIVE_MAX, hint_of_admin, new_key
from app.api.keys import ADMIN_ADVICE, admin_record, key_record
from app.cli.failures import fail
from app.cli.server import Record, ServerError, server_at
from app.cli.settings import load_settings
from app.generated_secrets import ADMIN_KEY_FILE
from app.observe import configure_logging
from app.settings import Settings
from app.store.api_keys import ApiKeys
from app.store.database import existing_states, store_of
from app.store.protocol import NoLogError, StoreError

T = TypeVar("T")


class KeptKeys(Protocol):
    """Keys, at a server or in a database."""

    async def keys(self) -> list[Record]:
        """All of them, as the API shows them."""

    async def create_key(self, asked: Record) -> Record:
        """Make one; its record with the `key` itself."""

    async def revoke_key(self, key_id: str) -> Record:
        """Revoke one; its record then."""


class _Database:
    """Keys in a database that this process has opened."""

    def __init__(self, table: ApiKeys, settings: Settings) -> None:
        self._table = table
        self._settings = settings

    async def keys(self) -> list[Record]:
        found = [admin_record(_admin_hint(self._settings))]
        before = None
        while rows := await self._table.page(before=before, limit=500):
            found += map(key_record, rows)
            before = rows[-1].key_id
        return found

    async def create_key(self, asked: Record) -> Record:
        expires = asked["expires_at"]
        expires_ms = expires and round(datetime.fromisoformat(expires).timestamp() * 1000)
        if await self._table.live(_now_ms()) >= LIVE_MAX:
            fail(f"there are {LIVE_MAX:,} keys already: revoke some first")
        key, row = new_key(asked["name"], asked["scopes"], expires_ms)
        await self._table.add(row)
        return {**key_record(row), "key": key}

    async def revoke_key(self, key_id: str) -> Record:
        if key_id == ADMIN_KEY_ID:
            fail(ADMIN_ADVICE)
        await self._table.revoke(key_id, _now_ms())
        row = await self._table.one(key_id)
        if row is None:
            fail(f"there is no key {key_id}: `edges-collector keys list` shows all")
        return key_record(row)


def done(
    url: str | None,
    api_key: str | None,
    work: Callable[[KeptKeys], Awaitable[T]],
    *,
    is_new: bool = False,
) -> T:
    """What comes of the work, at the server or on the database. Ends the program if it fails.

    With `is_new` the database is made, if there is none yet.
    """
    configure_logging("warning", None)
    settings = None if url else load_settings()

    async def working() -> T:
        if settings is not None:
            async with _opened(settings) as database:
                return await work(database)
        async with server_at(url or "", api_key) as server:
            return await work(server)

    try:
        if settings is not None:
            _prepare(settings, is_new=is_new)
        return asyncio.run(working())
    except ServerError as error:
        fail(str(error))
    except NoLogError as error:
        fail(str(error), code=2)
    except StoreError as error:
        is_sqlite = settings is not None and settings.postgres_url is None
        advice = ". If it runs, have it do this: give its COLLECTOR_URL" if is_sqlite else ""
        fail(f"{error}{advice}")
    except OSError as error:
        fail(f"{error}; is {settings and settings.data_dir} a folder that this user may write?")


def _prepare(settings: Settings, *, is_new: bool) -> None:
    """Make a folder for a new database. Raises NoLogError if there is none, and none is to be."""
    if is_new:
        if settings.postgres_url is None:
            settings.log_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    else:
        existing_states(settings)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[_Database]:
    store = store_of(settings, on_news=lambda: None)
    await store.open()
    try:
        yield _Database(store.api_keys, settings)
    finally:
        await store.close()


def _now_ms() -> int:
    return time_ns() // 1_000_000


def _admin_hint(settings: Settings) -> str | None:
    """The end of the admin key, if this machine knows it."""
    if settings.admin_key is not None:
        return hint_of_admin(settings.admin_key.get_secret_value())
    file = settings.data_dir / ADMIN_KEY_FILE
    return hint_of_admin(file.read_text("utf-8").strip()) if file.is_file() else None
