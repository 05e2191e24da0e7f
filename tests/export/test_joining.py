"""Results beside inputs: every result once, every input at least once, in their order."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.canonical import dumps
from app.export import joining
from app.export.joining import joined
from app.export.layouts import JOINED, Joined
from app.export.records import Result
from app.store.views import (
    OUTPUTS,
    InputFilter,
    InputView,
    RunSnapshot,
    placed_key,
    unplaced_key,
)
from tests.export.test_csv_writer import result
from tests.soak import examples

RUN = RunSnapshot("run-1", 9)


class Inputs:
    """As a reader gives them."""

    def __init__(self, views: Sequence[InputView]) -> None:
        self.views = views

    async def inputs(
        self, run: RunSnapshot, chosen: InputFilter, *, after: bytes, limit: int
    ) -> list[InputView]:
        assert (run, chosen) == (RUN, InputFilter())
        return [view for view in self.views if view.order_key > after][:limit]


def view(key: bytes, *, results: int = 0, status: str = "SUCCEEDED") -> InputView:
    return InputView(
        input_no=1,
        input_key=key[-1:],
        input=dumps({"url": key.hex()}).decode(),
        custom_data='{"row_id":"r"}',
        status=status,
        error='{"label":"NO_RESULT","retryable":false}' if status == "FAILED" else None,
        results=results,
        first_received_ms=0,
        last_received_ms=0,
        input_uid=f"i-{key.hex()}",
        told=None,
        order_key=key,
    )


def of(key: bytes, place: int = 0) -> Result:
    one = result({"n": place}, {"of": "the result"}, place=place)
    one.order_key = key
    return one


def rows_of(
    views: Sequence[InputView], results: Sequence[Result], portion: int = 3
) -> list[Joined]:
    async def portions() -> AsyncIterator[list[Result]]:
        for start in range(0, len(results), portion):
            yield list(results[start : start + portion])

    async def all_rows() -> list[Joined]:
        reader: Any = Inputs(views)
        return [
            row async for some in joined(reader, RUN, InputFilter(), portions()) for row in some
        ]

    return asyncio.run(all_rows())


KEYS = [
    b"",
    *[placed_key(place, bytes([place])) for place in range(6)],
    *[unplaced_key(bytes([n])) for n in range(6)],
    OUTPUTS + b"walk",
]


@given(
    st.sets(st.sampled_from(KEYS[1:-1])),
    st.lists(st.sampled_from(KEYS), max_size=20),
    st.integers(1, 4),
    st.integers(1, 4),
)
@settings(max_examples=examples(40))
def test_rows_are_what_looking_up_gives(
    inputs: set[bytes], results: list[bytes], portion: int, inputs_at_once: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joining, "PORTION_INPUTS", inputs_at_once)
        found = [of(key, place) for place, key in enumerate(sorted(results))]
        rows = rows_of([view(key) for key in sorted(inputs)], found, portion)
    due = sorted(
        [(one.order_key, one.place, one.order_key in inputs) for one in found]
        + [(key, -1, True) for key in inputs - set(results)]
    )
    told = []
    for given_input, one in rows:
        keys = {bytes.fromhex(given_input["input"]["url"])} if given_input else set()
        (key,) = keys | ({one.order_key} if one else set())
        told.append((key, -1 if one is None else one.place, given_input is not None))
    assert told == due


def test_a_failed_input_has_its_error_and_no_result() -> None:
    key = placed_key(0, b"\1")
    (row,) = rows_of([view(key, status="FAILED")], [])
    flat = JOINED.flat(row)
    assert (flat["_status"], flat["error.label"], flat["error.retryable"]) == (
        "FAILED",
        "NO_RESULT",
        False,
    )
    assert (flat["custom_data.row_id"], flat["_result_count"]) == ("r", 0)
    assert (flat["_run_uid"], flat["_result_id"], flat["_received_at"]) == ("run-1", None, None)
    record = json.loads(dumps(JOINED.record(row, JOINED.values(row))))
    assert list(record) == list(JOINED.record_columns)
    assert record["error"]["label"] == "NO_RESULT"
    assert record["data"] is record["result_id"] is None


def test_a_result_has_what_is_known_of_its_input() -> None:
    """What the result itself carries may be less, such as custom_data alone."""
    key = placed_key(0, b"\1")
    first, without = rows_of([view(key, results=1)], [of(key), of(OUTPUTS + b"w")])
    assert JOINED.flat(first)["custom_data.row_id"] == "r"
    assert JOINED.flat(first)["input.url"] == key.hex()
    assert "custom_data.of" not in JOINED.flat(first)
    assert JOINED.flat(without)["_input_uid"] is JOINED.flat(without)["_status"] is None
    assert JOINED.flat(without)["n"] == 0
