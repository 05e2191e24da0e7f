"""Stages together, and files that break off."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.export import result_set
from app.export.distinct import KEEPS, Distinct, Keep
from app.export.formats import JsonWriter
from app.export.record_lines import KeyedLine, record_lines
from app.export.records import Result
from app.export.result_set import ResultSet, Selection
from app.export.stream import OrderChangedError
from app.store.views import ResultFilter, RunSnapshot
from tests.export.catalogued import fields_of
from tests.export.test_csv_writer import result

PEOPLE = [{"linkedin_profile_id": n % 3, "jobs": ["a"] * n} for n in range(5)]


class Runs:
    """Knows how often the order of a run's inputs changed."""

    def __init__(self, *order_nos: int) -> None:
        self._order_nos = iter(order_nos)

    async def run(self, run_uid: str) -> Any:
        return SimpleNamespace(order_no=next(self._order_nos))


def pieces(
    monkeypatch: pytest.MonkeyPatch, selection: Selection, reader: Any, folder: Path
) -> list[Any]:
    """Of a file of one run, up to where it broke off, which is then None."""
    rows = [result(data, place=place) for place, data in enumerate(PEOPLE)]

    async def portions(*_: Any) -> AsyncIterator[list[Result]]:
        for one in rows:
            yield [one]

    async def keyed(*_: Any) -> AsyncIterator[list[KeyedLine]]:
        for one in rows:
            yield [KeyedLine(*record_lines([one]))]

    monkeypatch.setattr(result_set, "results", portions)
    monkeypatch.setattr(result_set, "keyed_lines", keyed)
    monkeypatch.setattr(result_set, "skimmed", portions)
    runs = [RunSnapshot("run-1", 9)]
    wanted = ResultSet(runs, ResultFilter(), fields_of(rows), (), selection, folder=folder)
    found: list[Any] = []

    async def pull() -> None:
        try:
            file = wanted.file(reader, JsonWriter(()), shape="record")
            while (piece := await anext(file, None)) is not None:
                found.append(piece)
        except OrderChangedError:
            found.append(None)

    asyncio.run(pull())
    return found


@pytest.mark.parametrize("keep", KEEPS)
def test_a_file_begins_at_once_and_breaks_off_if_the_order_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, keep: Keep
) -> None:
    """Also if it changes while results are looked at ahead: then it has no row at all."""
    selection = Selection(distinct=Distinct("auto", keep))
    broken = pieces(monkeypatch, selection, Runs(1), tmp_path)
    assert (broken[0], broken[-1]) == (b"[", None)
    assert (len(broken) == 2) == (keep != "first")
    whole = pieces(monkeypatch, selection, Runs(0, 0), tmp_path)
    assert (whole[0], whole[-1]) == (b"[", b"\n]\n")
    assert len(whole) == 2 + 3
    assert list(tmp_path.iterdir()) == []


def test_what_is_unwound_comes_in_small_portions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(result_set, "PORTION_ROWS", 2)
    found = pieces(monkeypatch, Selection(unwind="jobs"), Runs(0), tmp_path)
    assert [piece.count(b"unwind_index") for piece in found] == [0, 1, 1, 2, 2, 1, 2, 2, 0]
