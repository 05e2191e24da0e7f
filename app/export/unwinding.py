"""Unwinding: a list in the data becomes rows, one for each of its elements."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from app.canonical import Json
from app.export.records import Result
from app.fields import DEPTH_MAX, escaped, parts
from app.kinds import NOT_RECORDED, Kinds, Path
from app.store.views import Fields


def unwound(path: Sequence[str], results: Iterable[Result]) -> Iterator[Result]:
    """A result for each element of the list at `path`, with the element in the list's place.

    An empty list gives one result without it; where there is no list, nothing changes. Lists
    within the list stay whole.
    """
    for result in results:
        items = _at(path, result.data)
        if items.__class__ is not list:
            yield result
        elif not items:
            yield _with_data(result, _without(path, result.data), None)
        else:
            for index, item in enumerate(items):
                yield _with_data(result, _with(path, result.data, item), index)


def _at(path: Sequence[str], value: Json) -> Json:
    for key in path:
        if value.__class__ is not dict:
            return None
        value = value.get(key)
    return value


def _with(path: Sequence[str], value: dict[str, Json], item: Json) -> dict[str, Json]:
    key, *rest = path
    return {**value, key: _with(rest, value[key], item) if rest else item}


def _without(path: Sequence[str], value: dict[str, Json]) -> dict[str, Json]:
    key, *rest = path
    if rest:
        return {**value, key: _without(rest, value[key])}
    return {name: item for name, item in value.items() if name != key}


def _with_data(result: Result, data: Json, index: int | None) -> Result:
    return Result(
        run_uid=result.run_uid,
        result_id=result.result_id,
        place=result.place,
        source=result.source,
        callback_key=result.callback_key,
        batch_uid=result.batch_uid,
        order_key=result.order_key,
        input=result.input,
        custom_data=result.custom_data,
        received_ms=result.received_ms,
        data=data,
        unwind_index=index,
    )


def unwound_fields(fields: Fields, name: str) -> Fields:
    """The catalogue of results whose list `name` is unwound, from what it knows of the list.

    Objects open up into fields as they do anywhere; an element's empty object has no field of
    its own where others like it were not empty. Raises ValueError, with a reason, if `name` is
    no list.
    """
    known, held = fields.kinds["data"], fields.within["data"]
    kinds = known.get(name, Kinds(0))
    if not kinds & Kinds.LIST:
        raise ValueError("is no list in these results")
    if kinds == NOT_RECORDED:
        raise ValueError(
            "what is in it was not noted when these results came; `edges-collector rebuild`"
            " makes up for that"
        )
    fields_of = {path: _opened(name, path[2:]) for path in held if path[:2] == (name, None)}
    opened = {field.above for field in fields_of.values() if field.above is not None}
    found = {field: kinds for field, kinds in known.items() if field != name}
    within = {path: kinds for path, kinds in held.items() if path[0] != name}
    rows = [(name, kinds & ~(Kinds.LIST | Kinds.NULL))]
    for path, (field, _, rest) in fields_of.items():
        if rest:
            within[field, *rest] = within.get((field, *rest), Kinds(0)) | held[path]
        elif field in opened:  # what it was besides
            rows.append((field, held[path] & ~(Kinds.OBJECT | Kinds.NULL)))
        else:
            rows.append((field, held[path]))
    for field, kinds in rows:
        if kinds:
            found[field] = found.get(field, Kinds(0)) | kinds
    return Fields(
        {**fields.kinds, "data": dict(sorted(found.items()))},
        {**fields.within, "data": within},
    )


class _Opened(NamedTuple):
    """Where something in an element is found once the element opened up."""

    field: str
    above: str | None
    """The field that it is a member of; None for the element itself."""
    rest: Path
    """Where it is within the field."""


def _opened(name: str, path: Path) -> _Opened:
    field, above = name, None
    for place in range(len(path)):
        key = path[place]
        if key is None or len(parts(name)) + place == DEPTH_MAX:
            return _Opened(field, above, path[place:])
        field, above = f"{field}.{escaped(key)}", field
    return _Opened(field, above, ())
