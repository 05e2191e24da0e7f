"""`edges-collector migrate`: how far the database's schema is, and bringing it up to date."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from app.cli.failures import fail
from app.cli.settings import load_settings
from app.settings import Settings
from app.store.database import migrate as apply_missing
from app.store.database import schema_states
from app.store.migrations import SchemaState
from app.store.protocol import StoreError


def migrate(
    action: Annotated[
        Literal["up", "status"],
        Parameter(help="`status` says how far the schema is, `up` applies what is missing."),
    ],
    *,
    data_dir: Annotated[Path | None, Parameter(help="Folder of the database.")] = None,
    as_json: Annotated[bool, Parameter(name="--json", help="Say the outcome as JSON.")] = False,
) -> None:
    """Bring the database's schema up to this version, or say how far it is.

    `serve` does the same at its start; this is for whoever wants it done before. With SQLite
    the collector must be stopped for `up`, with PostgreSQL it need not be. `status` changes
    nothing; its exit code is 1 if steps are pending, or this version cannot use the database.

    Example: edges-collector migrate status --json
    """
    settings = load_settings(**({} if data_dir is None else {"data_dir": data_dir}))
    try:
        if action == "up":
            _say_applied(apply_missing(settings), as_json=as_json)
        else:
            _say_states(settings, schema_states(settings), as_json=as_json)
    except StoreError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error}; is {settings.log_path.parent} a folder that this user may write?")


def _say_applied(applied: Mapping[str, Sequence[str]], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"applied": applied}) + "\n")
    elif any(applied.values()):
        for part, names in applied.items():
            sys.stdout.writelines(f"applied  {part}/{name}\n" for name in names)
    else:
        sys.stdout.write("nothing to do: the schema is up to date\n")


def _say_states(settings: Settings, states: Sequence[SchemaState], *, as_json: bool) -> None:
    """Say it, and end with exit code 1 if something is pending."""
    pending = sum(len(state.pending) for state in states)
    if as_json:
        parts = [state._asdict() for state in states]
        sys.stdout.write(json.dumps({"is_up_to_date": not pending, "parts": parts}) + "\n")
    else:
        for part, applied, left in states:
            sys.stdout.writelines(f"applied  {part}/{name}\n" for name in applied)
            sys.stdout.writelines(f"pending  {part}/{name}\n" for name in left)
    if not any(state.applied for state in states):
        where = settings.log_path if settings.postgres_url is None else "this PostgreSQL schema"
        fail(f"there is no database at {where}: `edges-collector migrate up` or `serve` makes it")
    if pending:
        fail(f"{pending} to be applied: `edges-collector migrate up` or `serve` does it")
