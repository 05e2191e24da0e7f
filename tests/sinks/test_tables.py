"""Tables of each kind: what is written is what was in the data, once, however often it comes."""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.export.stream import OrderChangedError
from app.sinks import duckdb_table, postgres_table, sqlite_table
from app.sinks.location import Location, SinkError, read_location
from app.sinks.targets import opened_target
from tests.sinks.listed import TABLES, BrokenPart, execute, held, location_of, part, write
from tests.soak import examples

NASTY = {
    "text": 'a "quote", a\nline, ünïcode 🎉, \'; DROP TABLE people; --',
    "formula": "=cmd()",
    "leading": "007",
    "whole": 2**63 - 1,
    "beyond": 2**70,
    "real": 1.5,
    "flag": True,
    "when": "2026-11-24T09:30:00.123Z",
    "empty": "",
    "list": [],
    "deep": [{"a": [1, {"b": None}]}],
    "nothing": None,
    'a "b" c': 1,
    "a.b": 2,
    "nested": {"a": {"b": 3}},
    "x" * 100: 4,
    "x" * 100 + "y": 5,
    "ctid": 6,
    "_more": 7,
    "_run_uid": 8,
    "rowid": 9,
    "": 10,
    "long": "z" * 1_000_000,
}
"""What makes trouble, with a name for each."""


@pytest.fixture(params=TABLES)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    with location_of(request.param, tmp_path) as one:
        yield one


def test_every_value_comes_back_as_it_was(location: Location) -> None:
    assert write(location, part(NASTY, {"text": "second"}, custom_data={"id": 1})) == []
    first, second = held(location)
    for name in ("text", "formula", "leading", "whole", "real", "flag", "when", "empty", "long"):
        assert first[name] == NASTY[name], name
    assert first["beyond"] == str(2**70)
    assert (first["list"], first["deep"]) == ("[]", '[{"a":[1,{"b":null}]}]')
    assert (first["nothing"], second["list"], second["when"]) == (None, None, None)
    assert (first['a "b" c'], first["a\\.b"], first["nested.a.b"]) == (1, 2, 3)
    assert first["custom_data.id"] == second["custom_data.id"] == 1
    assert second["text"] == "second"
    # Names that the database cannot give are others, which no two fields share.
    assert {4, 5, 6, 7, 8, 9, 10} <= {value for value in first.values() if type(value) is int}
    assert (first["_run_uid"], first["_result_id"]) == ("run-1", "r0")
    assert first["_received_at"].startswith("2026-09-21T13:33:20.123Z"[:10])


def test_names_that_differ_in_case_alone_are_two_columns(location: Location) -> None:
    write(location, part({"Name": "a", "name": "b"}))
    write(location, part({"NAME": "c"}, run="run-2"))
    values = [value for row in held(location) for value in row.values()]
    assert {"a", "b", "c"} <= set(values)
    names = [row["n"] for row in _mapping(location)]
    assert len({name.casefold() for name in names}) == len(names) or location.kind == "postgresql"


def test_what_is_written_again_changes_nothing_and_what_is_gone_goes(location: Location) -> None:
    other = part({"a": 9}, run="run-2")
    write(location, part({"a": 1}, {"a": 2}, {"a": 3}), other)
    before = held(location)
    write(location, part({"a": 1}, {"a": 2}, {"a": 3}, version="v2"))
    assert held(location) == before
    write(location, part({"a": 1}, {"a": 22}, {"a": 4}, ids=["r0", "r1", "r7"], version="v3"))
    rows = [(row["_run_uid"], row["_result_id"], row["a"]) for row in held(location)]
    assert rows == [("run-1", "r0", 1), ("run-1", "r1", 22), ("run-1", "r7", 4), ("run-2", "r0", 9)]
    write(location, part(version="v4"))
    assert [row["_run_uid"] for row in held(location)] == ["run-2"]
    versions = execute(location, "SELECT run_uid, version, rows FROM people__runs ORDER BY 1")
    assert [tuple(row.values()) for row in versions] == [("run-1", "v4", 0), ("run-2", "v1", 1)]


def test_a_part_that_is_there_is_skipped(location: Location) -> None:
    write(location, part({"a": 1}))
    write(location, part({"a": 2}))
    assert [row["a"] for row in held(location)] == [1]


def test_columns_are_added_and_grow_wider_and_are_never_dropped(location: Location) -> None:
    first = part({"n": 1, "z": None, "r": 1.5, "t": "2026-11-24T09:30:00Z", "b": True, "l": [1]})
    assert write(location, first) == []
    grown = part({"n": "007", "z": 5, "r": "x", "t": "soon", "b": "no", "new": 1}, run="run-2")
    notes = write(location, grown)
    assert "column 'n': integer became text" in notes
    one, two = held(location)
    assert (one["n"], one["z"], one["b"], one["new"], one["l"]) == ("1", None, "true", None, "[1]")
    assert [two[name] for name in ("n", "z", "r", "t", "b", "new")] == [
        "007", 5, "x", "soon", "no", 1,
    ]  # fmt: skip
    # What was only cast is not skipped, so that the next export spells it as it was.
    write(location, first)
    assert (held(location)[0]["r"], held(location)[0]["t"]) == ("1.5", "2026-11-24T09:30:00Z")
    write(location, part({"n": 1}, run="run-3"), part({"n": 2**60}, run="run-4"))
    assert [row["n"] for row in held(location)] == ["1", "007", "1", str(2**60)]


def test_whole_numbers_become_real_only_where_that_is_exact(location: Location) -> None:
    write(location, part({"n": 3, "m": 2**60}))
    write(location, part({"n": 1.5, "m": 1.5}, run="run-2"))
    one, two = held(location)
    assert (one["n"], two["n"]) == (3.0, 1.5)
    assert (one["m"], two["m"]) == (str(2**60), "1.5")


@pytest.mark.parametrize("location", ["postgresql", "sqlite"], indirect=True)
def test_what_another_writer_has_widened_is_written_as_it_is_by_then(location: Location) -> None:
    async def writing() -> None:
        async with opened_target(location) as one, opened_target(location) as other:
            first, wider = part({"n": 1}), part({"n": "x", "m": 1}, run="run-2")
            await one.prepare(first.fields)
            await other.prepare(wider.fields)
            await one.write(first)
            await other.write(wider)
            await one.write(part({"n": 2}, {"n": 3}, version="v2"))

    asyncio.run(writing())
    assert [row["n"] for row in held(location)] == ["2", "3", "x"]


def test_what_breaks_off_leaves_what_was_there_and_can_be_tried_again(location: Location) -> None:
    write(location, part({"a": 1}))
    before = held(location)
    whole = part(*[{"a": n} for n in range(50)], version="v2")

    async def writing() -> None:
        async with opened_target(location) as target:
            with pytest.raises(OrderChangedError):
                await target.write(BrokenPart.of(whole))
            assert await target.version("run-1") == "v1"
            if location.kind != "duckdb":  # which nobody else opens meanwhile
                assert await asyncio.to_thread(held, location) == before
            await target.write(whole)

    asyncio.run(writing())
    assert sorted(row["a"] for row in held(location)) == list(range(50))


def test_columns_of_others_keep_what_they_hold(location: Location) -> None:
    write(location, part({"a": 1}))
    type_name = "text" if location.kind == "postgresql" else "VARCHAR"
    execute(
        location,
        f"ALTER TABLE people ADD COLUMN note {type_name}",
        "UPDATE people SET note = 'mine'",
    )
    write(location, part({"a": 2, "note": "theirs"}, version="v2"))
    (row,) = held(location)
    assert (row["a"], row["note"]) == (2, "mine")
    assert "theirs" in row.values()


def test_a_table_of_somebody_else_is_refused_or_only_added_to(location: Location) -> None:
    type_name = "VARCHAR" if location.kind == "duckdb" else "TEXT"
    execute(location, "CREATE TABLE people (a INTEGER)", "INSERT INTO people VALUES (7)")
    with pytest.raises(SinkError, match="no column _run_uid and no _result_id"):
        write(location, part({"a": 1}))
    assert execute(location, "SELECT * FROM people") == [{"a": 7}]
    execute(location, "DROP TABLE people")
    key = f"_run_uid {type_name}, _result_id {type_name}"
    if location.kind != "duckdb":
        execute(location, f"CREATE TABLE people ({key})")
        with pytest.raises(SinkError, match="no primary key"):
            write(location, part({"a": 1}))
        execute(location, "DROP TABLE people")
    execute(
        location,
        f"CREATE TABLE people ({key}, full_name {type_name}, PRIMARY KEY (_run_uid, _result_id))",
    )
    write(location, part({"a": 1, "full_name": "Zoë"}))
    (row,) = held(location)
    assert (row["a"], row["full_name"]) == (1, "Zoë")
    with pytest.raises(SinkError, match="not altered"):
        write(location, part({"a": "x"}, run="run-2"))


def test_fields_beyond_what_a_table_can_hold_are_in_one_column(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (postgres_table, sqlite_table, duckdb_table):
        monkeypatch.setattr(module, "DIALECT", module.DIALECT._replace(columns_max=6))
    notes = write(location, part({f"f{n}": n for n in range(5)}, {"f0": 7}))
    assert any("no room for a column 'f4': its values are in _more" in note for note in notes)
    one, two = held(location)
    assert (one["f0"], one["f1"], one["_more"]) == (0, 1, '{"f2":2,"f3":3,"f4":4}')
    assert (two["f0"], two["_more"]) == (7, None)
    write(location, part({"f4": "x", "g": [1]}, run="run-2"))
    assert held(location)[2]["_more"] == '{"f4":"x","g":[1]}'


def test_many_columns_are_no_trouble(location: Location) -> None:
    many = {f"field {n}": n for n in range(2_000)}
    sparse = [{name: value} for name, value in list(many.items())[::40]]
    write(location, part(*sparse, many if location.kind != "postgresql" else {}))
    found: set[object] = set()
    for row in held(location):
        found |= {*row.values(), *json.loads(row.get("_more") or "{}").values()}
    assert {value for one in sparse for value in one.values()} <= found


def test_nul_characters_are_replaced_where_need_be_and_counted(location: Location) -> None:
    notes = write(location, part({"a": "x\0y", "l": ["\0", {"\0": "\\u0000"}], "n\0": 1}))
    (row,) = held(location)
    nul = "\ufffd" if location.kind == "postgresql" else "\0"
    assert row["a"] == f"x{nul}y"
    if location.kind == "postgresql":
        assert notes == ["3 NUL characters, which PostgreSQL cannot hold, are U+FFFD"]
        assert row["l"] == '["\ufffd",{"\ufffd":"\\\\u0000"}]'
    else:
        assert notes == []
    assert 1 in row.values()


def test_what_cannot_be_reached_is_said_without_its_password(tmp_path: Path) -> None:
    for text in (
        "postgresql://me:secret@127.0.0.1:1/crm#people",
        "postgresql://me:secret@[::/crm#people",
        f"sqlite:///{tmp_path}/none/x.db#people",
        f"duckdb:///{tmp_path}/none/x.db#people",
    ):
        with pytest.raises(SinkError) as failed:
            write(read_location(text), part({"a": 1}))
        assert "secret" not in str(failed.value)
    (tmp_path / "text").write_text("no database " * 1000)
    for kind in ("sqlite", "duckdb"):
        with pytest.raises(SinkError):
            write(read_location(f"{kind}:///{tmp_path}/text#people"), part({"a": 1}))


values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False,
    allow_infinity=False), st.text(max_size=5), st.lists(st.integers(0, 3), max_size=2),
    st.sampled_from(["2026-11-24T09:30:00Z", "2026-11-24T09:30:00.5Z"]),
)  # fmt: skip
runs = st.lists(
    st.lists(st.dictionaries(st.sampled_from("abAB"), values, max_size=3), max_size=3),
    min_size=2, max_size=3,
)  # fmt: skip


@settings(max_examples=examples(8), deadline=None)
@given(runs)
def test_the_order_in_which_runs_are_written_does_not_matter(written: list[list[object]]) -> None:
    """Nor how often, once all were written as they are."""
    parts = [part(*data, run=f"run-{n}") for n, data in enumerate(written)]
    found = []
    for order in (parts, parts[::-1]):
        with (
            tempfile.TemporaryDirectory() as folder,
            location_of("sqlite", Path(folder)) as location,
        ):
            write(location, *order)
            write(location, *order)
            named = {row["n"]: row["f"] for row in _mapping(location)}
            found.append(
                [{named.get(name): value for name, value in row.items()} for row in held(location)]
            )
    assert found[0] == found[1]


def _mapping(location: Location) -> list[dict[str, str]]:
    return execute(
        location,
        "SELECT field AS f, column_name AS n FROM people__columns WHERE column_name IS NOT NULL",
    )
