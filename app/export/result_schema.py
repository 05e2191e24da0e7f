"""What results look like, as JSON Schema, from the catalogue of their fields."""

from collections.abc import Mapping
from typing import Any

from app.export.column_types import ColumnType, ListType, StructType, members_of
from app.export.records import RESULT_COLUMNS
from app.fields import parts
from app.kinds import Kinds, Path
from app.store.views import SECTIONS, Fields

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_OWN: dict[str, dict[str, Any]] = {
    "source": {"enum": ["callback", "outputs"]},
    "callback_ref_uid": {"type": ["string", "null"]},
    "batch_uid": {"type": ["string", "null"]},
    "received_at": {"type": "string", "format": "date-time"},
}
"""Of our own parts of a record; the others are texts."""

_TYPES = (
    (Kinds.BOOLEAN, "boolean"),
    (Kinds.REAL, "number"),
    (Kinds.SMALL_INTEGER, "integer"),
    (Kinds.TIME, "string"),
    (Kinds.LIST, "array"),
    (Kinds.OBJECT, "object"),
)


def record_schema(fields: Fields) -> dict[str, Any]:
    """The schema of results in their nested shape."""
    own = {name: _OWN.get(name, {"type": "string"}) for name in RESULT_COLUMNS}
    sections = {section: section_schema(fields, section) for section in SECTIONS}
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": {**own, **sections},
        "required": list(RESULT_COLUMNS),
    }


def section_schema(fields: Fields, section: str) -> dict[str, Any]:
    """The schema of all values of a section (`data`, `custom_data`, `input`) so far.

    Nothing is required: an object need not have what another one has. Values that are no
    objects, which have the column `value`, are told of as if they had a property of that name.
    """
    within = fields.within[section]
    members = members_of(within)
    types = "object" if section == "data" else ["object", "null"]
    root: dict[str, Any] = {"type": types, "properties": {}}
    for name, kinds in fields.kinds[section].items():
        *parents, key = parts(name)
        place = root
        for parent in parents:
            place = _as_object(place["properties"].setdefault(parent, {}))
        schema = _schema((name,), kinds, within, members)
        known = place["properties"].get(key)
        place["properties"][key] = _joined(known, schema) if known else schema
    return root


def type_name(column: ColumnType) -> str:
    """A column's type in words: `list<integer>`, `struct<title: text, years: real>`."""
    if isinstance(column, ListType):
        return f"list<{type_name(column.item)}>"
    if isinstance(column, StructType):
        members = ", ".join(f"{name}: {type_name(member)}" for name, member in column.members)
        return f"struct<{members}>"
    return column


def _as_object(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that also allows an object with properties."""
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    schema["type"] = _short([*types, *(["object"] if "object" not in types else [])])
    schema.setdefault("properties", {})
    return schema


def _joined(opened: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    """Of a name that was an object at times and something else at others."""
    types: list[str] = []
    for schema in (plain, opened):
        found = schema.get("type", [])
        types += [found] if isinstance(found, str) else found
    return {**plain, **opened, "type": _short(sorted(set(types), key=types.index))}


def _schema(
    path: Path, kinds: Kinds, within: Mapping[Path, Kinds], members: Mapping[Path, list[str]]
) -> dict[str, Any]:
    if Kinds.DEEP in kinds:  # it may be anything
        return {}
    types = [name for kind, name in _TYPES if kinds & kind]
    if "number" in types and "integer" in types:
        types.remove("integer")
    if Kinds.NULL in kinds:
        types.append("null")
    schema: dict[str, Any] = {"type": _short(types)}
    if kinds & Kinds.TEXT == Kinds.TIME:
        schema["format"] = "date-time"
    item = (*path, None)
    if Kinds.LIST in kinds:
        schema["items"] = _schema(item, within[item], within, members) if item in within else {}
    if Kinds.OBJECT in kinds:
        schema["properties"] = {
            key: _schema((*path, key), within[*path, key], within, members)
            for key in sorted(members.get(path, []))
        }
    return schema


def _short(types: list[str]) -> str | list[str]:
    return types[0] if len(types) == 1 else types
