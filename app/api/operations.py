"""Pieces of the OpenAPI document: operations, parameters, answers and problems."""

from collections.abc import Mapping
from typing import Any

from app.export.compression import COMPRESSIONS
from app.export.csv_writer import SEPARATORS
from app.export.distinct import KEEPS
from app.export.formats import FORMATS
from app.store.views import RUN_SORTS

PARAMETERS: dict[str, dict[str, Any]] = {
    "limit": {"schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}},
    "cursor": {"description": "`next_cursor` of the page before."},
    "iterations": {
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50},
        "description": "How many of the last iterations, at the most.",
    },
    "next": {
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 5},
        "description": "How many of the next iterations, at the most.",
    },
    "format": {
        "schema": {"type": "string", "enum": list(FORMATS)},
        "description": (
            "Stream everything as a file instead of a page. In xlsx, sheets of failed inputs, and"
            " of facts about the runs and the file, come behind the results."
        ),
    },
    "shape": {
        "schema": {"type": "string", "enum": ["flat", "record"]},
        "description": "Rows as flat columns, or as nested records.",
    },
    "bom": {
        "schema": {"type": "string", "enum": ["false", "true"], "default": "false"},
        "description": "Of CSV: begin with a byte order mark, by which Excel knows UTF-8.",
    },
    "separator": {
        "schema": {"type": "string", "enum": list(SEPARATORS), "default": "comma"},
        "description": "Of CSV: what stands between cells.",
    },
    "guard": {
        "schema": {"type": "string", "enum": ["false", "true"], "default": "false"},
        "description": (
            "Of CSV: an apostrophe before cells that a spreadsheet would run, which begin with"
            " = + - @, tab or CR. Numbers such as -5 or +3.2 stay as they are."
        ),
    },
    "compression": {
        "schema": {"type": "string", "enum": list(COMPRESSIONS)},
        "description": (
            "Compress the file itself, so that it stays compressed where it is saved. Without it,"
            " Accept-Encoding decides how the file travels."
        ),
    },
    "sort": {"schema": {"type": "string", "enum": list(RUN_SORTS), "default": "-created"}},
    "q": {"description": "Part of a run uid, or a value of some custom_data."},
    "created_after": {"schema": {"type": "string", "format": "date-time"}},
    "received_after": {"schema": {"type": "string", "format": "date-time"}},
    "received_before": {"schema": {"type": "string", "format": "date-time"}},
    "fields": {
        "schema": {"type": "array", "items": {"type": "string"}},
        "description": (
            "Only these fields, in this order: names of flat columns, with commas between or"
            " repeated. An object stands for all that is in it. In the nested shape, `data`,"
            " `custom_data` and `input` are pruned alike."
        ),
    },
    "omit": {
        "schema": {"type": "array", "items": {"type": "string"}},
        "description": "Leave these fields out; names as in `fields`.",
    },
    "unwind": {
        "description": (
            "Of downloads: the name of a list in the data. Each of its elements becomes a row, with"
            " the element in the list's place and `_unwind_index`; an empty or missing list"
            " gives one row without it."
        )
    },
    "distinct_on": {
        "description": (
            "Of downloads: one row for each value of this column, over all runs. `auto` is the"
            " immutable id of what the action returns: of a profile, a company, a post or a"
            " message. Rows without a value are all kept."
        )
    },
    "keep": {
        "schema": {"type": "string", "enum": list(KEEPS), "default": "first"},
        "description": (
            "Which of the rows with the same `distinct_on`; `merge` fills fields that are null or"
            " missing in the first one's data from later ones."
        ),
    },
    "join": {
        "schema": {"type": "string", "enum": ["inputs"]},
        "description": (
            "Of downloads: a row for each input with each of its results beside it; inputs without"
            " results have one row, with their status and error."
        ),
    },
    "run_uid": {"schema": {"type": "array", "items": {"type": "string"}}},
    "status": {"schema": {"type": "array", "items": {"type": "string"}}},
    "seq": {"schema": {"type": "integer", "minimum": 0}},
    "after": {"description": "The id of an event: what came after it."},
    "types": {"description": "Types of events, separated by commas."},
    "event_id": {"description": "Only deliveries of this event."},
    "newest_first": {
        "schema": {"type": "string", "enum": ["false", "true"], "default": "false"},
        "description": "The other way round: what came last first.",
    },
    "state": {"schema": {"type": "string", "enum": ["pending", "delivered", "failed"]}},
    "field": {
        "schema": {"type": "string", "pattern": "^[A-Za-z_$][A-Za-z0-9_$.:@-]{0,99}$"},
        "description": "A field of results or inputs, such as `linkedin_profile_id`.",
    },
    "value": {
        "schema": {"type": "string"},
        "description": "What stands there, compared exactly; numbers in digits.",
    },
    "columns": {
        "schema": {"type": "string", "enum": ["false", "true"], "default": "true"},
        "description": "Whether results are read to tell what their columns are like.",
    },
    "incomplete": {
        "schema": {"type": "string", "enum": ["false", "true"], "default": "false"},
        "description": "Go on although results are missing, which may be lost for good.",
    },
}
FILE_PARAMETERS: dict[str, dict[str, Any]] = {
    "after": {
        "description": (
            "Of downloads: only what is new since the one that gave this `X-Next-Cursor`, in the"
            " order of arrival; `start` for the first one. Each result comes once. What came and"
            " counts no more is not taken back."
        ),
    },
    "trailer": {
        "schema": {"type": "string", "enum": ["false", "true"], "default": "false"},
        "description": (
            'Of NDJSON: end with a line `{"_trailer": {"rows", "next_cursor",'
            ' "completeness", "runs_open"}}`, without which the file is not whole.'
        ),
    },
}
"""What files take that other lists do not, or mean otherwise."""

OF_INPUTS: dict[str, dict[str, Any]] = {
    "shape": {
        "schema": {"type": "string", "enum": ["flat", "record", "inputs"]},
        "description": (
            "Rows as flat columns, or as nested records; or as `inputs` that can be given to Edges"
            " again: their own fields and `custom_data`, and nothing of what became of them."
        ),
    },
}
"""What lists of inputs take that others do not."""

FILE_HEADERS = {
    "X-Completeness": {
        "description": "Of downloads: the least of the runs in it, when it was begun.",
        "schema": {"type": "string", "enum": ["open", "unverified", "incomplete", "complete"]},
    },
    "X-Runs-Open": {
        "description": "Of downloads: how many runs in it were open then.",
        "schema": {"type": "integer"},
    },
    "X-Next-Cursor": {
        "description": "Of deltas: `after` of the next one.",
        "schema": {"type": "string"},
    },
}
_BINARY = {"type": "string", "format": "binary"}
CUSTOM_DATA = {
    "name": "custom_data",
    "in": "query",
    "style": "deepObject",
    "description": "`custom_data.<path>=<value>`: only what belongs to inputs that carry it.",
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}


def json_answer(model: str, description: str) -> dict[str, Any]:
    """An answer of this model."""
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}}},
    }


def problems(descriptions: dict[str, str]) -> dict[str, Any]:
    """Answers that are problems, by status."""
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {
            "description": description,
            "content": {"application/problem+json": reference},
        }
        for status, description in descriptions.items()
    }


READ_PROBLEMS = problems(
    {
        "400": "A parameter is unknown or bad; the answer names it.",
        "401": "The API key is missing, not known, expired or revoked.",
        "404": "No such thing.",
        "503": "The store cannot answer now.",
    }
)

_FILE_PROBLEMS = problems({"501": "The format needs what is not installed; the answer says what."})

EDGES_PROBLEMS = problems(
    {
        "409": "There is no key of the Edges API, Edges refuses it, or results are missing yet.",
        "422": "Edges refused; `error` is what it said.",
        "502": "Edges gave an answer of no use.",
        "503": "Edges, or the store, cannot answer now: see `Retry-After`.",
        "504": "It is unknown whether Edges did it: look before you try again.",
    }
)


def in_path(name: str) -> dict[str, Any]:
    """A parameter in the path."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def operation(name: str, summary: str, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """What every operation has."""
    return {
        "operationId": name,
        "summary": summary,
        "security": [{"apiKey": []}],
        "parameters": [in_path(part) for part in path],
    }


def read(
    name: str,
    summary: str,
    model: str | None,
    query: tuple[str, ...] = (),
    *,
    path: tuple[str, ...] = (),
    is_file: bool = False,
    by_custom_data: bool = False,
    special: Mapping[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """An operation that reads; `query` names its parameters, `model` what it answers.

    `special` describes parameters that mean something else here.
    """
    found = operation(name, summary, path)
    known = PARAMETERS | (FILE_PARAMETERS if is_file else {}) | dict(special or {})
    for parameter in query:
        found["parameters"].append(
            {"name": parameter, "in": "query", "schema": {"type": "string"}}
            | known.get(parameter, {})
        )
    ok: dict[str, Any] = {"description": "The body."}
    if model is not None:
        ok = json_answer(model, "The rows.")
    if is_file or by_custom_data:
        found["parameters"].append(CUSTOM_DATA)
    if is_file:
        ok["headers"] = FILE_HEADERS
        ok["content"] |= {
            writer.media_type.partition(";")[0]: {
                "schema": {"type": "string"} if writer.is_compressible else _BINARY
            }
            for writer in FORMATS.values()
            if writer.media_type != "application/json"
        }
        ok["content"] |= {
            compression.media_type: {"schema": _BINARY} for compression in COMPRESSIONS.values()
        }
    return {
        **found,
        "responses": {"200": ok, **READ_PROBLEMS, **(_FILE_PROBLEMS if is_file else {})},
    }


def health(name: str, summary: str) -> dict[str, Any]:
    """An operation that needs no key."""
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "security": [],
            "responses": {"200": {"description": "So it is."}},
        }
    }
