"""A run is deleted in portions: each is short, and what was begun goes on from where it is."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack

import pytest

from app.erase.asking import new_erasure
from app.store.erasures import EXPIRY, RUN, ErasureRow
from tests.callbacks import callback, encoded
from tests.databases import KINDS, emptied_database
from tests.erase.erasing import Erasing
from tests.project.test_merge import project

GONE, KEPT = "run-that-goes", "run-that-stays"
CALLBACKS = 12


def bodies(run: str, prefix: str, count: int) -> list[bytes]:
    return [
        encoded(callback(f"{prefix}{n}", run=run, results=[{"of": run, "n": n}], row=f"row-{n}"))
        for n in range(count)
    ]


def filled(env: Mapping[str, str], patch: pytest.MonkeyPatch) -> None:
    for name, value in env.items():
        patch.setenv(name, value)
    for name in ("ROWS_AT_ONCE", "SEGMENTS_AT_ONCE"):
        patch.setattr(f"app.store.postgres.erasures.{name}", 4)
    patch.setattr("app.store.sqlite.erasures.KEYS_AT_ONCE", 4)
    patch.setattr("app.store.postgres.rework.LOOK_S", 0.0)
    with asyncio.Runner() as runner, ExitStack() as stack:
        erasing = Erasing(runner, stack)
        for run in (GONE, KEPT):
            for body in bodies(run, "c", CALLBACKS):
                erasing.append(body)
        project(erasing.projector)


def begun(erasing: Erasing, row: ErasureRow, portions: int) -> ErasureRow:
    for _ in range(portions):
        row = erasing.runner.run(erasing.store.erasures.advance(row, 1))
        assert row.finished_ms is None
    return row


def asked(erasing: Erasing, kind: str) -> ErasureRow:
    erasing.runner.run(new_erasure(erasing.store, kind, by="tests", run_uid=GONE))
    row = erasing.runner.run(erasing.store.erasures.unfinished())
    assert row is not None
    return row


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("portions", [1, 3, 6])
def test_what_was_begun_goes_on_from_where_it_was(kind: str, portions: int) -> None:
    with emptied_database(kind) as env, pytest.MonkeyPatch.context() as patch:
        filled(env, patch)
        with asyncio.Runner() as runner, ExitStack() as stack:
            erasing = Erasing(runner, stack)
            begun(erasing, asked(erasing, RUN), portions)
            if kind == "postgres":
                assert runner.run(erasing.store.reader.run(GONE)) is None
        with asyncio.Runner() as runner, ExitStack() as stack:  # another process, later
            erasing = Erasing(runner, stack)
            row = runner.run(erasing.store.erasures.unfinished())
            assert row is not None
            if kind == "postgres":
                assert row.at.after
            state = erasing.carry_out()
            assert {run for run, _ in state["results"]} == {KEPT}
            assert len(state["results"]) == CALLBACKS
            row = runner.run(erasing.store.erasures.row(row.erasure_id))
            assert row is not None
            assert (row.counted.callbacks, row.counted.runs) == (CALLBACKS, 1)


def test_what_comes_of_an_expiring_run_meanwhile_stays() -> None:
    with emptied_database("postgres") as env, pytest.MonkeyPatch.context() as patch:
        filled(env, patch)
        with asyncio.Runner() as runner, ExitStack() as stack:
            erasing = Erasing(runner, stack)
            row = begun(erasing, asked(erasing, EXPIRY), 2)
            erasing.append(*bodies(GONE, "late", 2))
            project(erasing.projector)  # none of which is at the run, half of which is there
            assert runner.run(erasing.store.reader.run(GONE)) is None
            begun(erasing, row, 1)
            state = erasing.carry_out()
            assert sorted(run for run, _ in state["results"]) == [GONE] * 2 + [KEPT] * CALLBACKS
            run = runner.run(erasing.store.reader.run(GONE))
            assert run is not None
            assert run.callbacks == 2
