"""The catalogue says what walking each value says, whatever came before and in which order."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.canonical import Json
from app.fields import DEPTH_MAX, flatten
from app.kinds import Kinds, Path, kind_of, path_name
from app.project import catalogue as module
from app.project.catalogue import Catalogue
from app.store.views import Fields

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["x", "", "2025-01-02T03:04:05Z", "2025-02-30T00:00:00Z"])
)
KEYS = st.sampled_from(["a", "b", "a.b", "\\", "", "[]", "ä"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)
RESULTS = st.lists(st.dictionaries(KEYS, VALUES, max_size=4) | VALUES, max_size=6)


def walked(results: list[Json]) -> dict[tuple[str, str], Kinds]:
    """What a walk through everything finds."""
    found: dict[tuple[str, str], Kinds] = {}
    for result in results:
        if result is None:
            continue
        fields = flatten(result) if isinstance(result, dict) else [("value", result)]
        for name, value in fields:
            _add(found, "data", name, kind_of(value))
            if isinstance(value, list):
                for path, kind in _within((name,), value):
                    _add(found, "data[]", path_name(path), kind)
    return found


def _add(found: dict[tuple[str, str], Kinds], section: str, name: str, kind: Kinds) -> None:
    found[section, name] = found.get((section, name), Kinds(0)) | kind


def _within(path: Path, items: list[Json]) -> Iterator[tuple[Path, Kinds]]:
    for item in items:
        yield from _at((*path, None), item)


def _at(
    path: tuple[str | None, ...], value: Json
) -> Iterator[tuple[tuple[str | None, ...], Kinds]]:
    yield path, kind_of(value)
    if isinstance(value, list):
        yield from _within(path, value)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _at((*path, key), item)


def seen(results: list[Json], portions: int = 1) -> dict[tuple[str, str], Kinds]:
    """What the catalogue finds, with its news taken a few times."""
    catalogue = Catalogue()
    found: dict[tuple[str, str], Kinds] = {}
    for start in range(portions):
        for result in results[start::portions]:
            catalogue.see("data", result)
        for key, kinds in catalogue.take_news().items():
            assert kinds & ~found.get(key, Kinds(0)), "told again although nothing is new"
            found[key] = found.get(key, Kinds(0)) | kinds
    return found


@given(RESULTS, st.integers(1, 3), st.randoms(use_true_random=False))
def test_it_says_what_walking_says_in_any_order(
    results: list[Json], portions: int, rng: Random
) -> None:
    shuffled = list(results)
    rng.shuffle(shuffled)
    assert seen(shuffled, portions) == walked(results)


@given(RESULTS)
def test_so_it_does_beyond_its_bound(results: list[Json]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "OUTLINES_MAX", 1)
        assert seen(results + results) == walked(results)


def test_what_is_nested_too_deep_is_told_as_such() -> None:
    value: Json = {"x": 1}
    for _ in range(DEPTH_MAX + 3):
        value = {"o": value}
    ((section, name), kinds) = next(iter(seen([value]).items()))
    assert (section, kinds) == ("data", Kinds.DEEP)
    assert name == next(flatten(value))[0]
    for _ in range(DEPTH_MAX + 3):
        value = [value]
    assert Kinds.DEEP in seen([{"l": value}]).values()


def test_texts_of_times_are_told_apart_until_one_is_none() -> None:
    time = {"at": "2025-01-02T03:04:05.123456Z"}
    assert seen([time, time]) == {("data", "at"): Kinds.TIME}
    assert seen([time, {"at": "2025-01-02T03:04:05+02:00"}]) == {("data", "at"): Kinds.TEXT}


def test_names_that_are_searched_otherwise_are_kept_as_such_too() -> None:
    catalogue = Catalogue()
    catalogue.see("custom_data", {"a.b": 1, "c": {"d": 2}})
    assert set(catalogue.take_news()) == {
        ("custom_data", "a\\.b"),
        ("custom_paths", "a.b"),
        ("custom_data", "c.d"),
    }


def test_a_reader_joins_what_runs_have_held() -> None:
    rows = [("data", "b", 4), ("data", "a", 32), ("data", "b", 128), ("custom_paths", "a", 0)]
    fields = Fields.of([*rows, ("data[]", '["l",null]', 2)])
    assert list(fields.kinds["data"].items()) == [("a", Kinds.REAL), ("b", Kinds(132))]
    assert fields.within["data"] == {("l", None): Kinds.BOOLEAN}
