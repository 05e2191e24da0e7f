"""Numbered SQL files: the steps of a schema, each applied once, recognised by its checksum."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

from app.store.protocol import SchemaError

PARTS = ("log_schema", "projection_schema", "outbox_schema")
"""What a database consists of, named after the folders of their steps."""


class Migration(NamedTuple):
    """One step of a schema: `number` from the file's name, `checksum` of its text."""

    number: int
    name: str
    sql: str
    checksum: str


class SchemaState(NamedTuple):
    """How far one part of a database is."""

    part: str
    """One of `PARTS`."""
    applied: Sequence[str]
    """Names of the steps that were applied, first to last."""
    pending: Sequence[str]


def steps(package: str, part: str) -> list[Migration]:
    """The steps in the folder `part` of `package`, first to last."""
    found = []
    for entry in files(package).joinpath(part).iterdir():
        if entry.name.endswith(".sql"):
            sql = entry.read_text("utf-8")
            checksum = hashlib.sha256(sql.encode()).hexdigest()
            found.append(Migration(int(entry.name[:4]), entry.name, sql, checksum))
    return sorted(found)


def pending(known: Sequence[Migration], applied: Mapping[int, str]) -> list[Migration]:
    """The steps that are still to be applied, where `applied` has checksums by number.

    Raises SchemaError if the database was written by a newer version, or by steps whose
    text has changed since.
    """
    newest, ours = max(applied, default=0), known[-1].number
    if newest > ours:
        raise SchemaError(
            f"the database has schema {newest}, this version of the collector knows {ours}:"
            " install the newer version that wrote it"
        )
    for step in known:
        if applied.get(step.number, step.checksum) != step.checksum:
            raise SchemaError(
                f"migration {step.name} was changed after it was applied to this database:"
                " restore the file's text, and put the change into a new migration"
            )
    return [step for step in known if step.number not in applied]


def state(part: str, known: Sequence[Migration], applied: Mapping[int, str]) -> SchemaState:
    """How far `part` is, of which `known` are the steps. Raises SchemaError, see `pending`."""
    left = [step.name for step in pending(known, applied)]
    return SchemaState(part, [step.name for step in known if step.name not in left], left)


def failed(step: Migration, reason: object) -> SchemaError:
    """What to raise where a step could not be applied and was rolled back."""
    return SchemaError(
        f"migration {step.name} failed, and nothing of it was applied: {reason};"
        " the database is as it was before this step"
    )


def statements(sql: str) -> list[str]:
    """The statements of a step: they end with a semicolon at the end of a line."""
    lines = [line for line in sql.splitlines() if not line.lstrip().startswith("--")]
    return [part for part in ("\n".join(lines)).split(";\n") if part.strip(" ;\n")]
