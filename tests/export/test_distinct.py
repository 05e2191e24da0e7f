"""One result for each key: against dictionaries, with portions and table sizes of any kind."""

import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.canonical import canonical, digest
from app.export import key_table
from app.export.distinct import KEEPERS, KEEPS, GoneError, Keep
from app.export.filling import filled
from app.export.key_table import KeyTable
from app.export.keys import KeyOf, auto_key
from app.export.records import Result
from tests.export.test_csv_writer import result
from tests.soak import examples

KEY_OF = auto_key("linkedin-extract-people")
SMALL: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, 1, "x", [], [1], {}]),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=5,
)
DATA = st.dictionaries(st.sampled_from("abc"), SMALL, max_size=3).flatmap(
    lambda data: st.sampled_from([None, "", 1, "1", 2, 3]).map(
        lambda key: {**data, "linkedin_profile_id": key}
    )
)
MANY = st.lists(DATA | st.sampled_from([None, 5, "text"]), max_size=30)


def made(data: Sequence[Any]) -> list[Result]:
    return [result(one, place=place) for place, one in enumerate(data)]


def portions(results: Sequence[Result], size: int) -> Iterator[Sequence[Result]]:
    for start in range(0, len(results), size):
        yield results[start : start + size]


def kept(results: Sequence[Result], keep: Keep, size: int, key_of: KeyOf = KEY_OF) -> list[Result]:
    keeper = KEEPERS[keep]()
    if keeper.looks_ahead:
        for portion in portions(results, size):
            keeper.note(portion, key_of)
    found = [one for part in portions(results, size) for one in keeper.kept(part, key_of)]
    keeper.finish()
    keeper.close()
    return found


def expected(data: Sequence[Any], keep: Keep) -> list[tuple[int, Any]]:
    """The place and the data of what is kept, by dictionaries of all there is."""
    groups: dict[Any, list[tuple[int, Any]]] = {}
    for place, one in enumerate(data):
        key = one.get("linkedin_profile_id") if isinstance(one, dict) else None
        has_key = key not in (None, "")
        groups.setdefault(str(key) if has_key else ("none", place), []).append((place, one))
    found = []
    for group in groups.values():
        place, first = group[-1 if keep == "last" else 0]
        if keep == "merge":
            for _, later in group[1:]:
                first = by_hand(first, later)
        found.append((place, first))
    return sorted(found, key=lambda one: one[0])


def by_hand(first: Any, later: Any) -> Any:
    """Fill each missing field by itself."""
    found = dict(first)
    for name, value in later.items():
        if found.get(name) is None and value is not None:
            found[name] = value
        elif isinstance(found.get(name), dict) and isinstance(value, dict):
            found[name] = by_hand(found[name], value)
    return found


@given(MANY, st.sampled_from(KEEPS), st.integers(1, 9))
@settings(max_examples=examples(60))
def test_one_is_kept_of_each_key(data: list[Any], keep: Keep, size: int) -> None:
    before = canonical(data)
    found = kept(made(data), keep, size)
    due = [(place, canonical(one)) for place, one in expected(data, keep)]
    assert [(one.place, canonical(one.data)) for one in found] == due
    assert canonical(data) == before  # what was read is not changed


def test_a_list_is_a_value_and_an_object_is_filled() -> None:
    first: Any = {"a": None, "list": [], "deep": {"x": 1, "y": None}, "same": 1}
    later = {"a": 0, "list": [1], "deep": {"x": 2, "y": False, "z": {}}, "same": None, "new": ""}
    assert filled(first, later) == {
        "a": 0,
        "list": [],
        "deep": {"x": 1, "y": False, "z": {}},
        "same": 1,
        "new": "",
    }


@pytest.mark.parametrize("keep", KEEPS)
def test_many_keys_make_the_table_grow(monkeypatch: pytest.MonkeyPatch, keep: Keep) -> None:
    monkeypatch.setattr(key_table, "_SLOTS_MIN", 4)
    monkeypatch.setattr(key_table, "_RESTS_FROM_BYTES", 4_096)
    monkeypatch.setattr(key_table, "_RESTS_EVERY", 500)
    rng = random.Random(5)
    data = [
        {"linkedin_profile_id": rng.randrange(2_000), rng.choice("abc"): rng.random()}
        for _ in range(5_000)
    ]
    found = [(one.place, one.data) for one in kept(made(data), keep, 300)]
    assert found == expected(data, keep)


def test_a_key_of_zeros_is_a_key(tmp_path: Path) -> None:
    table = KeyTable(4, folder=tmp_path)
    keys = [bytes(16), *[digest(bytes([n])) for n in range(9)]]
    places = [table.find(key) for key in keys]
    assert all(place < 0 for place in places)
    assert [table.find(key) for key in keys] == [~place for place in places]
    assert len(table) == 10
    assert list(tmp_path.iterdir()) == []  # a file without a name
    table.close()


@pytest.mark.parametrize("keep", ["last", "merge"])
def test_what_goes_away_between_the_passes_is_seen(keep: Keep) -> None:
    data = [{"linkedin_profile_id": n % 3, "n": n} for n in range(9)]
    keeper = KEEPERS[keep]()
    keeper.note(made(data), KEY_OF)
    keeper.kept(made(data)[1:], KEY_OF)
    with pytest.raises(GoneError, match="of 9 results 1 went away"):
        keeper.finish()
    keeper.close()


def test_filling_goes_by_order_also_where_types_differ() -> None:
    """An object is not filled from a text, and a text between two objects parts them not."""
    values = [None, {}, {"a": None}, {"a": 1}, 1, {"b": [1]}]
    data = [
        {"linkedin_profile_id": number, "a": value}
        for number, three in enumerate(itertools.product(values, repeat=3))
        for value in three
    ]
    found = [(one.place, canonical(one.data)) for one in kept(made(data), "merge", 100)]
    assert found == [(place, canonical(one)) for place, one in expected(data, "merge")]
