"""Rows in lists that are bounded, for writing many of them."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_ROWS_AT_ONCE = 2_000
_BYTES_AT_ONCE = 4 * 1024 * 1024


def paged(rows: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """`rows` in lists that are bounded in number and in `size`, unless one alone is larger."""
    page: list[T] = []
    bytes_of_page = 0
    for row in rows:
        page.append(row)
        bytes_of_page += size(row)
        if len(page) >= _ROWS_AT_ONCE or bytes_of_page >= _BYTES_AT_ONCE:
            yield page
            page, bytes_of_page = [], 0
    if page:
        yield page
