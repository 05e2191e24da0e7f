"""`edges-collector export`: results to a file, a folder, a bucket or a table."""

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, time_ns
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from app.canonical import allow_deep_nesting
from app.cli.failures import fail
from app.cli.progress import Bar, bars
from app.cli.settings import load_settings
from app.export.chosen_fields import SelectionError
from app.export.distinct import Distinct, Keep
from app.export.result_set import ALL, Selection
from app.observe import configure_logging
from app.settings import Settings
from app.sinks.location import Location, LocationError, SinkError, read_location
from app.sinks.parts import Source
from app.sinks.writing import Choice, Outcome, chosen_runs, write_runs
from app.store.database import opened_for_reading
from app.store.protocol import NoLogError, StoreError
from app.store.reader import Reader
from app.store.views import ResultFilter, RunFilter


def export(
    *,
    to: Annotated[
        str,
        Parameter(
            help="people.csv (also .csv.gz, .ndjson.zst …), a folder/, s3://bucket/prefix/,"
            " postgresql://USER@HOST/DATABASE#table, sqlite:///PATH#table, duckdb:///PATH#table,"
            " or - for the output.",
            allow_leading_hyphen=True,
        ),
    ],
    run: Annotated[
        tuple[str, ...], Parameter(negative="", help="Uid of a run; may be given several times.")
    ] = (),
    action: Annotated[str | None, Parameter(help="Only runs of this action.")] = None,
    schedule: Annotated[str | None, Parameter(help="Only runs of this schedule (its uid).")] = None,
    custom_data: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            help="PATH=VALUE: only results whose custom_data has this there; repeatable.",
        ),
    ] = (),
    since: Annotated[
        str | None, Parameter(help="Only runs that received something since then (RFC 3339).")
    ] = None,
    complete_only: Annotated[
        bool, Parameter(negative="", help="Only runs that are proven complete.")
    ] = False,
    format: Annotated[  # noqa: A002 - the flag's name
        str | None,
        Parameter(help="Format of files, if not as they are named; in a folder parquet."),
    ] = None,
    fields: Annotated[
        tuple[str, ...],
        Parameter(
            negative="", help="Of one file: only these columns, separated by commas, in this order."
        ),
    ] = (),
    omit: Annotated[
        tuple[str, ...], Parameter(negative="", help="Of one file: all columns but these.")
    ] = (),
    distinct_on: Annotated[
        str | None,
        Parameter(help="Of one file: one row for each value of this column; auto knows which."),
    ] = None,
    keep: Annotated[
        Keep | None, Parameter(help="Which of several with the same --distinct-on.")
    ] = None,
    unwind: Annotated[
        str | None, Parameter(help="Of one file: a row for each element of this list.")
    ] = None,
    join: Annotated[
        Literal["inputs"] | None,
        Parameter(help="Of one file: every input, its results or its error beside it."),
    ] = None,
    partition: Annotated[
        bool, Parameter(negative="", help="A file for each run, below a folder of this name.")
    ] = False,
    data_dir: Annotated[Path | None, Parameter(help="Folder of the database.")] = None,
    as_json: Annotated[bool, Parameter(name="--json", help="Say the outcome as JSON.")] = False,
) -> None:
    """Write results to where they are to be used.

    Of folders, buckets and tables, a run is one part: it is written whole or not at all, replaces
    what was there of the run, and is left alone if that is the same. So the same command goes on
    where it was cut off, and later brings what is new. Tables get the columns of all fields that
    appear, and lose none.

    Reads the database that the settings name; the collector may be running.

    Example: edges-collector export --to postgresql://me@db/crm#people --action linkedin-people
    """
    started = monotonic()
    try:
        location = read_location(to, format, partition=partition)
        choice = _choice(run, action, schedule, custom_data, since, complete_only=complete_only)
        if keep is not None and distinct_on is None:
            raise ValueError("--keep says which of several with the same --distinct-on")  # noqa: TRY301
        selection = Selection(
            fields=fields,
            omit=omit,
            distinct=None if distinct_on is None else Distinct(distinct_on, keep or "first"),
            unwind=unwind,
            with_inputs=join is not None,
        )
        if selection != ALL and not location.is_one_file:
            raise ValueError(_OF_ONE_FILE)  # noqa: TRY301
    except (LocationError, ValueError) as error:
        fail(str(error), code=2)
    settings = load_settings(**({} if data_dir is None else {"data_dir": data_dir}))
    _refuse_own_files(settings, location)
    configure_logging("warning", None)
    allow_deep_nesting()
    try:
        with bars() as bar:
            outcome, unprojected = asyncio.run(
                _export(settings, location, choice, selection, (bar("runs"), bar("rows")))
            )
    except NoLogError as error:
        fail(str(error), code=2)
    except SelectionError as error:
        fail(f"--{error.parameter.replace('_', '-')}: {error}", code=2)
    except (StoreError, SinkError) as error:
        goes_on = "" if location.is_one_file else _GOES_ON
        fail(f"{error}{goes_on}")
    _say(outcome, location, unprojected, monotonic() - started, as_json=as_json)


_OF_ONE_FILE = (
    "--fields, --omit, --distinct-on, --unwind and --join are for one file: elsewhere each run is"
    " written by itself, and all of it"
)
_GOES_ON = ". Runs that were written are whole: the same command goes on from there"


def _choice(
    runs: Sequence[str],
    action: str | None,
    schedule: str | None,
    custom_data: Sequence[str],
    since: str | None,
    *,
    complete_only: bool,
) -> Choice:
    """Raises ValueError, naming the flag."""
    custom: list[tuple[str, str]] = []
    for pair in custom_data:
        path, is_pair, value = pair.partition("=")
        if not is_pair or not path:
            raise ValueError(f"--custom-data {pair}: give PATH=VALUE, such as row_id=17")
        custom.append((path, value))
    return Choice(
        runs=RunFilter(
            run_uids=tuple(dict.fromkeys(runs)),
            action_name=action,
            scheduled_run_uid=schedule,
            custom=tuple(custom),
        ),
        results=ResultFilter(custom=tuple(custom)),
        since_ms=None if since is None else _time_ms(since),
        complete_only=complete_only,
    )


def _time_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ValueError(f"--since {text}: give a time like 2026-11-24T09:30:00Z") from None


def _refuse_own_files(settings: Settings, location: Location) -> None:
    """A file of the collector has one writer, which is not this command."""
    if location.kind not in {"file", "sqlite", "duckdb"} or settings.postgres_url is not None:
        return
    own = (settings.log_path, settings.projection_path, settings.outbox_path)
    if location.path.resolve() in {path.resolve() for path in own}:
        fail(f"{location.shown} is a file of the collector itself: name another one", code=2)


async def _export(
    settings: Settings,
    location: Location,
    choice: Choice,
    selection: Selection,
    told: tuple[Bar, Bar],
) -> tuple[Outcome, int]:
    """What was done, and how many callbacks were left out since they are not projected yet."""
    runs_bar, rows_bar = told
    async with opened_for_reading(settings) as reader:
        lag = await reader.lag(time_ns() // 1_000_000)
        run_uids: list[str] = []
        expected = 0
        async for run in chosen_runs(reader, choice):
            run_uids.append(run.run_uid)
            expected += run.results
        await _refuse_unknown(reader, choice)
        done = [0, 0]

        def tell(runs: int, rows: int) -> None:
            done[0] += runs
            done[1] += rows
            runs_bar(done[0], len(run_uids))
            rows_bar(done[1], max(expected, done[1]))

        tell(0, 0)
        source = Source(reader, settings.result_keys, choice.results)
        outcome = await write_runs(source, run_uids, location, tell, selection)
        return outcome, lag.callbacks


async def _refuse_unknown(reader: Reader, choice: Choice) -> None:
    for run_uid in choice.runs.run_uids:
        if await reader.run(run_uid) is None:
            raise SinkError(f"there is no run {run_uid}; nothing was written")


def _say(
    outcome: Outcome, location: Location, unprojected: int, seconds: float, *, as_json: bool
) -> None:
    notes = list(outcome.notes)
    if unprojected:
        notes.append(
            f"{unprojected:,} callbacks in the log are not projected yet, and so left out: a"
            " running collector does that"
        )
    summary: dict[str, Any] = {
        "to": location.shown,
        "runs": outcome.runs,
        "runs_written": outcome.written,
        "runs_unchanged": outcome.unchanged,
        "rows_written": outcome.rows,
        "notes": notes,
        "seconds": round(seconds, 3),
    }
    out = sys.stderr if location.kind == "output" else sys.stdout
    if as_json:
        out.write(json.dumps(summary) + "\n")
        return
    if location.kind != "output":
        unchanged = f", {outcome.unchanged:,} were there already" if outcome.unchanged else ""
        sys.stdout.write(
            f"{outcome.rows:,} rows of {outcome.written:,}"
            f" {'run' if outcome.written == 1 else 'runs'} written to {location.shown}{unchanged}"
            f" ({seconds:.1f} s)\n"
        )
    sys.stderr.writelines(f"note: {note}\n" for note in notes)
