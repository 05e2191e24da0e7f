"""`edges-collector keys`: make, list and revoke keys of the API."""

import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import App, Parameter
from pydantic import ValidationError

from app.api.key_schema import NewApiKey
from app.cli.failures import fail
from app.cli.kept_keys import done
from app.cli.server import Record

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

Url = Annotated[
    str | None,
    Parameter(
        env_var="COLLECTOR_URL",
        help="A running collector, to be asked instead of working on its database.",
    ),
]
ApiKey = Annotated[
    str | None,
    Parameter(
        env_var="COLLECTOR_API_KEY",
        help="A key of that collector with the scope admin, such as its admin key.",
    ),
]

keys = App(
    name="keys",
    help="""Make, list and revoke keys of the API.

    Without --url it works on the database that the settings name: PostgreSQL at any time,
    SQLite while the collector is stopped.

    Example: edges-collector keys create nightly-export --scopes read --expires 90d
    """,
)


@keys.command
def create(
    name: Annotated[str, Parameter(help="By which records say who asked.")],
    *,
    scopes: Annotated[
        str,
        Parameter(help="`read`, `write` or `admin`, each of which includes those before it."),
    ],
    expires: Annotated[
        str | None,
        Parameter(help="After `90d` (or `12h`, `6w`), or at `2027-11-24T09:30:00Z`."),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Make a key. It goes to stdout alone, and is never shown again.

    Example: edges-collector keys create nightly-export --scopes read --expires 90d
    """
    try:
        asked = NewApiKey.model_validate(
            {
                "name": name,
                "scopes": [scope.strip() for scope in scopes.split(",")],
                "expires_at": expires_at(expires),
            }
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        fail(f"{first['loc'][0]}: {first['msg'].removeprefix('Value error, ')}", code=2)
    made = done(
        url, api_key, lambda kept: kept.create_key(asked.model_dump(mode="json")), is_new=True
    )
    until = f", until {made['expires_at']}" if made["expires_at"] else ""
    sys.stderr.write(
        f"made {made['id']}, {made['name']}, with {', '.join(made['scopes'])}{until}. This is the"
        " key, which is not shown again; send it as `Authorization: Bearer …`:\n"
    )
    sys.stdout.write(made["key"] + "\n")


@keys.command(name="list")
def list_(
    *,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Annotated[bool, Parameter(name="--json", help="A JSON object per key.")] = False,
) -> None:
    """List all keys, revoked and expired ones included; never the keys themselves.

    Example: edges-collector keys list --json
    """
    found = done(url, api_key, lambda kept: kept.keys())
    if as_json:
        sys.stdout.writelines(json.dumps(record) + "\n" for record in found)
    else:
        sys.stdout.writelines(line + "\n" for line in _table(found))


@keys.command
def revoke(
    key_id: Annotated[str, Parameter(name="ID", help="Of the key, as `keys list` shows it.")],
    *,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Let a key open nothing any more, within 5 seconds. It stays in the list.

    Example: edges-collector keys revoke key_0199c0ffee0070008000000000000000
    """
    record = done(url, api_key, lambda kept: kept.revoke_key(key_id))
    sys.stderr.write(f"revoked {record['id']}, {record['name']}\n")


def expires_at(given: str | None) -> str | None:
    """The time in RFC 3339, from one or from a duration. Ends the program if it is neither."""
    if given is None:
        return None
    now = datetime.now(UTC)
    try:
        if duration := re.fullmatch(r"([0-9]{1,6})([mhdw])", given):
            moment = now + timedelta(**{_UNITS[duration[2]]: int(duration[1])})
        else:
            moment = datetime.fromisoformat(given)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        fail(f"--expires {given}: give `90d`, `12h`, or a time like 2027-11-24T09:30:00Z", code=2)
    if moment <= now:
        fail(f"--expires {given}: is in the past", code=2)
    return moment.isoformat()


def _table(records: Sequence[Record]) -> list[str]:
    """A line for each key, with the same columns beneath each other."""
    now = datetime.now(UTC).isoformat()
    rows = [("ID", "NAME", "SCOPES", "KEY", "STATE", "LAST USED")]
    rows += [
        (
            record["id"],
            record["name"],
            ",".join(record["scopes"]),
            f"…{record['hint']}" if record["hint"] else "-",
            _state(record, now),
            record["last_used_at"] or "-",
        )
        for record in records
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _state(record: Record, now: str) -> str:
    if record["revoked_at"]:
        return f"revoked {record['revoked_at']}"
    if record["expires_at"] is None:
        return "valid"
    return f"{'expired' if record['expires_at'] <= now else 'valid until'} {record['expires_at']}"
