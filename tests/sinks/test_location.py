"""What `--to` means, and what is said when it means nothing."""

from pathlib import Path

import pytest

from app.sinks.location import LocationError, read_location


@pytest.mark.parametrize(
    ("text", "kind", "extension"),
    [
        ("people.csv", "file", "csv"),
        ("out/people.2026.ndjson.gz", "file", "ndjson.gz"),
        ("people.jsonl.zst", "file", "ndjson.zst"),
        ("-", "output", "ndjson"),
        ("s3://bucket/some/prefix", "objects", "parquet"),
        ("results/", "folder", "parquet"),
    ],
)
def test_a_place_for_files_says_their_format(text: str, kind: str, extension: str) -> None:
    location = read_location(text)
    assert location.file_format is not None
    assert (location.kind, location.file_format.extension) == (kind, extension)


def test_a_folder_is_one_by_its_slash_by_being_there_or_by_the_flag(tmp_path: Path) -> None:
    for text, partition in ((f"{tmp_path}/new/", False), (str(tmp_path), False), ("new", True)):
        assert read_location(text, "csv", partition=partition).kind == "folder"
    assert read_location(f"{tmp_path}/new", "csv").kind == "file"


@pytest.mark.parametrize(
    ("text", "address", "table"),
    [
        ("sqlite:////data/x.db#people", "/data/x.db", ("people",)),
        ("sqlite:///x%20y.db#pe%23ople", "x y.db", ("pe#ople",)),
        ("duckdb:///x.duckdb#people", "x.duckdb", ("people",)),
        ("postgresql://me@db/crm#people", "postgresql://me@db/crm", ("people",)),
        ("postgres://db/crm#sales.people", "postgres://db/crm", ("sales", "people")),
    ],
)
def test_a_table_has_an_address_and_a_name(text: str, address: str, table: tuple[str, ...]) -> None:
    location = read_location(text)
    assert (location.address, location.table) == (address, table)


def test_passwords_are_not_shown() -> None:
    for url in (
        "postgresql://me:se%3Acret@db/crm#people",
        "postgresql://me@db/crm?password=se%3Acret#people",
    ):
        location = read_location(url)
        assert "cret" in location.address
        assert "cret" not in location.shown
        assert location.without_secrets("no: se:cret, se%3Acret") == "no: ***, ***"
    with pytest.raises(LocationError) as refused:
        read_location("postgresql://me:secret@db/crm")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "format_name", "said"),
    [
        ("", None, "no name"),
        ("people", None, "does not say its format"),
        ("people.csv", "docx", "no format 'docx'"),
        ("people.csv.rar", None, "does not say its format"),
        ("people.parquet.gz", None, "does not say its format"),
        ("people/", "parquet.gz", "compressed by itself"),
        ("mysql://db#people", None, "mysql:// is no sink"),
        ("postgresql://db/crm", None, "name a table"),
        ("postgresql://db/crm#a.b.c", None, "no name of a table"),
        ("sqlite:///x.db#a.b", None, "no name of a table"),
        ("sqlite://x.db#a", None, "give the path of a file"),
        ("sqlite:///x.db#a", "csv", "no file format"),
        ("s3:///x", None, "name a bucket"),
        ("postgresql://[::#people", None, "db"),
    ],
)
def test_what_is_no_sink_is_said_to_be_none(text: str, format_name: str | None, said: str) -> None:
    if said == "db":  # it is the driver that reads addresses; here nothing may break
        assert read_location(text, format_name).shown.startswith("postgresql://…")
        return
    with pytest.raises(LocationError, match=said):
        read_location(text, format_name)
