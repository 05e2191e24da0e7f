"""What a run has brought so far, in order: for `/outputs` and for the truth."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.simulator.run import Round, Run


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the outputs of a run; earlier ones never change."""

    round_number: int = 0
    input_index: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Results of one input that one callback carries, from offset `first` up to `end`."""

    round_number: int
    input_index: int
    page_number: int
    first: int
    end: int
    is_withheld: bool


def stretches(run: Run, start: Position = Position()) -> Iterator[Stretch]:
    """What has come from a position on; withheld results too."""
    for each in run.counted_rounds:
        if each.number < start.round_number:
            continue
        begins_here = each.number == start.round_number
        first_input = start.input_index if begins_here else 0
        for index in range(first_input, min(each.next_input + 1, len(run.launch.inputs))):
            is_first = begins_here and index == first_input
            yield from _of_input(run, each, index, start.offset if is_first else 0)


def _of_input(run: Run, each: Round, index: int, first: int) -> Iterator[Stretch]:
    size, made = run.launch.scenario.page_size, run.made_count(index, each)
    while first < made:
        page = first // size
        end = min((page + 1) * size, made)
        is_withheld = run.is_withheld(each.number, index, page)
        yield Stretch(each.number, index, page, first, end, is_withheld)
        first = end


def page_of_outputs(
    run: Run, start: Position, skip: int, limit: int
) -> tuple[list[bytes], Position | None]:
    """As many results as the limit allows, and where the next one stands, if there is one."""
    rows: list[bytes] = []
    for each in stretches(run, start):
        if each.is_withheld:
            continue
        if skip >= each.end - each.first:
            skip -= each.end - each.first
            continue
        first, skip = each.first + skip, 0
        end = min(each.end, first + limit - len(rows))
        rows += run.results(each.round_number, each.input_index, first, end)
        if end < each.end:
            return rows, Position(each.round_number, each.input_index, end)
    return rows, None
