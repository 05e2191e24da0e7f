"""The keyring: who asks, found without a query each, and gone soon after a key is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from time import time_ns
from typing import Any

import pytest

from app.api import access
from app.api.access import PREFIX, SCOPES, Access, Keyring, new_key
from app.settings import Settings
from app.store.api_keys import ApiKeyRow, ApiKeys
from app.store.database import store_of
from app.store.protocol import StoreUnavailableError
from tests.conftest import postgres_only

ADMIN = "the admin key of the settings"
HOUR_MS = 3_600_000


class Counted(ApiKeys):
    """The table of a store, with what was asked of it."""

    def __init__(self, table: ApiKeys) -> None:
        self.read_from = table.read_from
        self._table = table
        self.reads = 0
        self.writes = 0
        self.is_away = False

    async def _read(self, sql: str, *values: object) -> Any:
        self._here()
        self.reads += 1
        return await self._table._read(sql, *values)

    async def _write(self, sql: str, *values: object) -> Any:
        self._here()
        return await self._table._write(sql, *values)

    async def _write_each(self, sql: str, rows: Any) -> None:
        self._here()
        self.writes += len(rows)
        await self._table._write_each(sql, rows)

    def _here(self) -> None:
        if self.is_away:
            raise StoreUnavailableError("the test took it away")


@asynccontextmanager
async def opened() -> AsyncIterator[Counted]:
    """The keys of the database that the environment names."""
    store = store_of(Settings(), on_news=lambda: None)
    await store.open()
    try:
        yield Counted(store.api_keys)
    finally:
        await store.close()


@pytest.fixture
def with_keys(
    database: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Counted], Awaitable[None]]], None]:
    """Runs a test with the keys of an empty store."""
    for name, value in database.items():
        monkeypatch.setenv(name, value)

    def run(test: Callable[[Counted], Awaitable[None]]) -> None:
        async def running() -> None:
            async with opened() as table:
                await test(table)

        asyncio.run(running())

    return run


WithKeys = Callable[[Callable[[Counted], Awaitable[None]]], None]


async def added(table: ApiKeys, *scopes: str, **members: int | None) -> tuple[str, ApiKeyRow]:
    key, row = new_key("ci", scopes, None)
    row = row._replace(**members)  # type: ignore[arg-type]
    await table.add(row)
    return key, row


def test_scopes_include_those_before_them() -> None:
    for number, scope in enumerate(SCOPES):
        _, row = new_key("ci", [scope], None)
        found = access.access_of(row)
        assert found == Access(row.key_id, "ci", frozenset(SCOPES[: number + 1]))
        assert [found.may(one) for one in SCOPES] == [place <= number for place in range(3)]
    assert access.access_of(new_key("ci", ["admin", "read"], None).row).may("write")
    assert not Access("key", "of nothing", frozenset()).may("read")


def test_a_key_is_random_and_kept_as_a_digest_alone() -> None:
    (key, row), (other, _) = new_key("ci", ["write", "read"], 5), new_key("ci", ["read"], None)
    assert key != other
    assert key.startswith(PREFIX)
    assert len(key) == len(PREFIX) + 43  # 32 bytes
    assert (row.scopes, row.hint, row.expires_ms) == ("read,write", key[-4:], 5)
    assert not any(key[4:20] in str(member) for member in row)


def test_the_hint_of_an_admin_key_tells_little() -> None:
    table: Any = None
    assert Keyring("a-long-key-that-was-generated", table).admin_hint == "ated"
    assert Keyring("short", table).admin_hint is None


def test_the_admin_key_needs_no_store(with_keys: WithKeys) -> None:
    async def test(table: Counted) -> None:
        keyring = Keyring(ADMIN, table)
        table.is_away = True
        for found in (await keyring.identify(ADMIN), await keyring.by_id("admin")):
            assert found == Access("admin", "admin key", frozenset(SCOPES))
        with pytest.raises(StoreUnavailableError):
            await keyring.identify(PREFIX + "x")

    with_keys(test)


def test_keys_are_looked_up_once_for_many_requests(with_keys: WithKeys) -> None:
    async def test(table: Counted) -> None:
        keyring = Keyring(ADMIN, table)
        made = [await added(table, scope) for scope in SCOPES]
        for _ in range(20):
            for key, row in made:
                assert await keyring.identify(key) == access.access_of(row)
                assert await keyring.by_id(row.key_id) == access.access_of(row)
            assert await keyring.identify("no key of ours") is None
        assert table.reads <= 3  # 1, unless the machine took more than five seconds for it

    with_keys(test)


def test_unknown_keys_share_their_look_ups(with_keys: WithKeys) -> None:
    async def test(table: Counted) -> None:
        keyring = Keyring(ADMIN, table)
        unknown = [f"{PREFIX}{number}" for number in range(200)]
        found = await asyncio.gather(*map(keyring.identify, unknown), *map(keyring.by_id, unknown))
        assert set(found) == {None}
        assert table.reads <= 5
        assert "not known" in keyring.refusal(unknown[0])

    with_keys(test)


def test_a_key_that_another_replica_made_opens_at_once(with_keys: WithKeys) -> None:
    async def test(table: Counted) -> None:
        keyring = Keyring(ADMIN, table)
        assert await keyring.identify(PREFIX + "unknown") is None
        key, row = await added(table, "read")
        assert await keyring.identify(key) == access.access_of(row)
        _, other = await added(table, "read")
        assert await keyring.by_id(other.key_id) == access.access_of(other)

    with_keys(test)


def test_revoked_and_expired_keys_open_nothing_and_say_so(with_keys: WithKeys) -> None:
    async def test(table: Counted) -> None:
        keyring, now_ms = Keyring(ADMIN, table), time_ns() // 1_000_000
        revoked, row = await added(table, "admin")
        assert await keyring.identify(revoked) is not None
        await table.revoke(row.key_id, now_ms)
        keyring.changed()
        assert await keyring.identify(revoked) is None
        assert await keyring.by_id(row.key_id) is None
        assert "ci was revoked at 20" in keyring.refusal(revoked)
        expired, row = await added(table, "admin", expires_ms=now_ms)
        assert await keyring.identify(expired) is None
        assert await keyring.by_id(row.key_id) is None
        assert "ci expired at 20" in keyring.refusal(expired)
        lasting, row = await added(table, "read", expires_ms=now_ms + HOUR_MS)
        assert await keyring.identify(lasting) == access.access_of(row)

    with_keys(test)


def test_a_key_expires_though_it_is_remembered(
    with_keys: WithKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(table: Counted) -> None:
        keyring = Keyring(ADMIN, table)
        key, _ = await added(table, "read", expires_ms=time_ns() // 1_000_000 + HOUR_MS)
        assert await keyring.identify(key) is not None
        monkeypatch.setattr(access, "time_ns", lambda: time_ns() + HOUR_MS * 1_000_000)
        assert await keyring.identify(key) is None

    with_keys(test)


@postgres_only
def test_what_another_replica_revoked_ends_soon(
    with_keys: WithKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "LOOK_UP_S", 0.3)

    async def test(table: Counted) -> None:
        async with opened() as other:
            keyring = Keyring(ADMIN, table)
            key, row = await added(other, "read")
            assert await keyring.identify(key) is not None
            await other.revoke(row.key_id, 1)
            await asyncio.sleep(0.4)
            assert await keyring.identify(key) is None

    with_keys(test)


def test_a_reading_that_began_before_a_change_is_not_taken(with_keys: WithKeys) -> None:
    async def test(table: Counted) -> None:
        key, row = await added(table, "read")
        keyring = Keyring(ADMIN, table)
        read = table._table._read

        async def read_then_revoked(sql: str, *values: object) -> Any:
            rows = await read(sql, *values)
            if table.reads == 1:
                await table.revoke(row.key_id, 1)
                keyring.changed()
            return rows

        table._table._read = read_then_revoked  # type: ignore[method-assign]
        assert await keyring.identify(key) is None
        assert table.reads == 2

    with_keys(test)


def test_the_last_use_is_written_once_a_minute(
    with_keys: WithKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_USE_PAUSE_S", 0.01)

    async def test(table: Counted) -> None:
        keyring = Keyring(ADMIN, table)
        key, row = await added(table, "read")
        _, other = await added(table, "read")
        noting = asyncio.create_task(keyring.note_uses())
        for _ in range(50):
            assert await keyring.identify(key) is not None
            await asyncio.sleep(0.002)
        first_ms = await used(table, row)
        assert table.writes == 1
        monkeypatch.setattr(access, "time_ns", lambda: time_ns() + 61 * 10**9)
        assert await keyring.identify(key) is not None
        assert await used(table, row, after_ms=first_ms) - first_ms >= 60_000
        assert table.writes == 2
        kept = await table.one(other.key_id)
        assert kept is not None
        assert kept.last_used_ms is None
        noting.cancel()

    with_keys(test)


def test_a_use_that_could_not_be_written_is_made_up_for(
    with_keys: WithKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_USE_PAUSE_S", 0.01)

    async def test(table: Counted) -> None:
        keyring = Keyring(ADMIN, table)
        key, row = await added(table, "read")
        assert await keyring.identify(key) is not None
        table.is_away = True
        noting = asyncio.create_task(keyring.note_uses())
        await asyncio.sleep(0.05)
        table.is_away = False
        assert await keyring.identify(key) is not None
        assert await used(table, row) > 0
        noting.cancel()

    with_keys(test)


async def used(table: ApiKeys, row: ApiKeyRow, after_ms: int = 0) -> int:
    """When a key was used last, as soon as that is written."""
    async with asyncio.timeout(20):
        while True:
            kept = await table.one(row.key_id)
            if kept is not None and (kept.last_used_ms or 0) > after_ms:
                return kept.last_used_ms or 0
            await asyncio.sleep(0.02)
