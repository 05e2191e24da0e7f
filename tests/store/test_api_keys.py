"""Keys of the API in either store: kept by digest, shown for ever, and revoked once."""

import asyncio
from dataclasses import dataclass

import pytest

from app.store.api_keys import ApiKeyRow, ApiKeys
from app.store.protocol import Store

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000


@dataclass
class Keys:
    """The table of an empty store, asked from a test."""

    table: ApiKeys
    runner: asyncio.Runner

    def add(self, number: int, **members: int | None) -> ApiKeyRow:
        row = a_key(number)._replace(**members)  # type: ignore[arg-type]
        self.runner.run(self.table.add(row))
        return row

    def one(self, number: int) -> ApiKeyRow | None:
        return self.runner.run(self.table.one(a_key(number).key_id))

    def page(self, before: str | None = None, limit: int = 100) -> list[ApiKeyRow]:
        return self.runner.run(self.table.page(before=before, limit=limit))

    def known(self, limit: int) -> list[ApiKeyRow]:
        return self.runner.run(self.table.known(NOW_MS, limit))

    def use(self, **used_ms: int) -> None:
        self.runner.run(self.table.note_used(used_ms, apart_ms=60_000))


def a_key(number: int) -> ApiKeyRow:
    digest = bytes([number]) * 32
    return ApiKeyRow(f"key_{number}", "né \N{KEY}", "read,write", digest, "abcd", NOW_MS - DAY_MS)


@pytest.fixture
def keys(store: Store, runner: asyncio.Runner) -> Keys:
    return Keys(store.api_keys, runner)


def test_what_is_added_is_found(keys: Keys) -> None:
    assert keys.page() == []
    assert keys.one(1) is None
    rows = [keys.add(1), keys.add(2, expires_ms=NOW_MS), keys.add(3)]
    assert [keys.one(number) for number in (1, 2, 3)] == rows
    assert keys.page() == rows[::-1]
    assert keys.page(limit=1) == [rows[2]]
    assert keys.page(before=rows[2].key_id) == [rows[1], rows[0]]


def test_live_ones_are_known_first(keys: Keys) -> None:
    live = [keys.add(1), keys.add(2, expires_ms=NOW_MS + 1)]
    ended = [
        keys.add(3, expires_ms=NOW_MS),
        keys.add(4, revoked_ms=NOW_MS),
        keys.add(5, expires_ms=NOW_MS + DAY_MS, revoked_ms=NOW_MS - DAY_MS),
    ]
    assert keys.known(10) == [*live[::-1], *ended[::-1]]
    assert keys.known(3) == [*live[::-1], ended[-1]]
    assert keys.runner.run(keys.table.live(NOW_MS)) == len(live)
    assert [row.is_live(NOW_MS) for row in live + ended] == [True] * 2 + [False] * 3


def test_a_key_is_revoked_once(keys: Keys) -> None:
    row = keys.add(1)
    assert keys.runner.run(keys.table.revoke(row.key_id, NOW_MS))
    assert keys.runner.run(keys.table.revoke(row.key_id, NOW_MS + DAY_MS))
    assert keys.one(1) == row._replace(revoked_ms=NOW_MS)
    assert not keys.runner.run(keys.table.revoke("key_2", NOW_MS))


def test_uses_are_noted_apart(keys: Keys) -> None:
    keys.add(1)
    keys.add(2, last_used_ms=NOW_MS - 60_000)
    keys.add(3, last_used_ms=NOW_MS - 59_999)
    keys.use(key_1=NOW_MS, key_2=NOW_MS, key_3=NOW_MS, key_9=NOW_MS)
    keys.use()
    used = [row.last_used_ms for row in keys.page()]
    assert used == [NOW_MS - 59_999, NOW_MS, NOW_MS]
