"""`?after=`: what is new since the last download, and the cursor for the next one.

A cursor says how far its reader has seen the log: of one run, its numbers there; of many, a mark
of the store (`Store.mark`). Nothing is kept for it but marks in PostgreSQL.
"""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from app.api.problems import ProblemError, bad_parameter
from app.canonical import Json, canonical, digest
from app.export.sheets import run_facts
from app.export.stream import snapshot
from app.model import Source
from app.proof import generation_of
from app.store import cursor
from app.store.cursor import CursorError
from app.store.protocol import Store, StoreUnavailableError
from app.store.reader import Reader
from app.store.views import RunFilter, RunSnapshot, RunView, Since, Window

START = "start"
"""Instead of a cursor: nothing was loaded yet."""

_RUNS_AT_ONCE = 100
_RESETS_MAX = 500
_RESET_BYTES = 4


@dataclass(frozen=True, slots=True)
class Given:
    """A cursor, read."""

    first: int
    """Where the first load ended, and the last one."""
    after: int
    resets: frozenset[bytes] = frozenset()
    """Runs whose lists of outputs were known to begin anew with each generation."""


@dataclass(slots=True)
class Chosen:
    """The runs that a file is made of."""

    snapshots: list[RunSnapshot] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    """How many of them have which completeness."""
    results: int = 0
    """Of all of them, whatever was loaded before."""
    facts: list[bytes] = field(default_factory=list)
    """Of each run, as workbooks have them."""
    resets: set[bytes] = field(default_factory=set)
    next_cursor: str | None = None
    """For what comes after it; of deltas alone."""

    def add(self, run: RunView, snapshot: RunSnapshot) -> None:
        """One more run, without holding on to all that is known of it."""
        self.snapshots.append(snapshot)
        self.facts.append(run_facts(run))
        self.states[run.completeness] += 1
        self.results += run.results
        since = snapshot.since
        if since is not None and since.is_reset and len({one for _, one in since.walks}) > 1:
            self.resets.add(_mark_of(run))


def read_cursor(kind: str, text: str, filters: Json) -> Given | None:
    """What a cursor says; None for the first load. Raises a 400 if it belongs elsewhere."""
    if text == START:
        return None
    try:
        of, first, after, resets = cursor.decode(kind, text, (bytes, int, int, bytes))
    except CursorError:
        raise bad_parameter(
            "after", f"must be `{START}`, or the `X-Next-Cursor` of the download before"
        ) from None
    if of != _of(filters):
        raise bad_parameter(
            "after", "this cursor is of a download with other runs or filters: keep to the same"
        )
    split = range(0, len(resets), _RESET_BYTES)
    return Given(first, after, frozenset(resets[at : at + _RESET_BYTES] for at in split))


def written_cursor(kind: str, given: Given, filters: Json) -> str:
    """The cursor for the next load."""
    resets = b"".join(sorted(given.resets)[:_RESETS_MAX])
    return cursor.encode(kind, (_of(filters), given.first, given.after, resets))


def _of(filters: Json) -> bytes:
    return digest(canonical(filters))[:8]


async def all_of(reader: Reader, runs: AsyncIterator[RunView]) -> Chosen:
    """Everything that these runs have."""
    found = Chosen()
    async for run in runs:
        found.add(run, await snapshot(reader, run))
    return found


async def new_of_run(store: Store, run: RunView, text: str, filters: list[Json]) -> Chosen:
    """What is new in one run.

    Raises a 409 for a cursor that is ahead of it, a 410 for one of before the run began anew.
    """
    kind = f"run delta, {_kind_of(store)}"
    times = await store.reader.times_begun_anew(run.run_uid)
    _refuse_former(kind, text, filters, times)
    filters = [*filters, times] if times else filters
    given = read_cursor(kind, text, filters)
    until = run.next_seq
    window = Window(until, until, until)
    if given is not None:
        _refuse_ahead(given, until)
        window = Window(given.first, given.after, until)
    found = Chosen()
    found.add(run, _since(run, window, given))
    following = Given(window.first_seq, window.before_seq, _resets(given, found))
    found.next_cursor = written_cursor(kind, following, filters)
    return found


async def new_of_runs(store: Store, chosen: RunFilter, text: str, filters: Json) -> Chosen:
    """What is new in the chosen runs; those without anything new are left out.

    Raises a 409 for a cursor that is ahead of what is projected, a 410 for one that is too old,
    or StoreUnavailableError while a rebuild is behind what was marked.
    """
    kind = f"delta, {_kind_of(store)}"
    given = read_cursor(kind, text, filters)
    oldest, mark = await store.mark()
    if given is not None:
        _refuse_ahead(given, mark)
        if given.after < oldest:
            raise ProblemError(
                410, "The cursor is too old", f"begin anew, with after={START}", parameter="after"
            )
        given = replace(given, first=max(given.first, oldest))
    windows = await store.reader.changed(
        first=given.first if given else mark, after=given.after if given else None, until=mark
    )
    uids = sorted(windows.keys() & set(chosen.run_uids) if chosen.run_uids else windows)
    found = Chosen()
    for start in range(0, len(uids), _RUNS_AT_ONCE):
        some = replace(chosen, run_uids=tuple(uids[start : start + _RUNS_AT_ONCE]))
        for run in await store.reader.runs_in_export_order(
            some, after_uid=None, limit=_RUNS_AT_ONCE
        ):
            window = windows[run.run_uid]
            if run.next_seq < window.before_seq:
                raise StoreUnavailableError("what was projected is derived again: try again soon")
            if window.after_seq > window.before_seq:
                raise _began_anew(f"run {run.run_uid} was")
            found.add(run, _since(run, window, given))
    following = Given(given.first if given else mark, mark, _resets(given, found))
    found.next_cursor = written_cursor(kind, following, filters)
    return found


def _kind_of(store: Store) -> str:
    """Numbers are those of one kind of store: a copy has others."""
    return store.description.partition(" ")[0]


def _refuse_former(kind: str, text: str, filters: list[Json], times: int) -> None:
    """Raise a 410 for a cursor whose numbers are those of a run that is gone."""
    for former in range(times) if text != START else ():
        try:
            read_cursor(kind, text, [*filters, former] if former else filters)
        except ProblemError:
            continue
        raise _began_anew("it was")


def _began_anew(what_was: str) -> ProblemError:
    return ProblemError(
        410,
        "The run began anew",
        f"{what_was} deleted, or had expired, after this cursor was given: begin anew too, without"
        f" the cursor (after={START})",
        parameter="after",
    )


def _refuse_ahead(given: Given, until: int) -> None:
    if given.after > until:
        raise ProblemError(
            409,
            "The cursor is ahead",
            "it has seen more than is here now: try again once the rebuild is over; if an older"
            " backup was restored, or the run was deleted and began anew, begin anew without the"
            f" cursor (after={START})",
            parameter="after",
        )


def _since(run: RunView, window: Window, given: Given | None) -> RunSnapshot:
    told = run.told
    walks: tuple[tuple[str, int], ...] = ()
    if told is not None:
        walks = tuple(
            (uid, generation_of(walk, told))
            for uid, walk in told.walks_of(Source.OUTPUTS)
            if walk.is_complete
        )
    since = Since(
        seq=None if given is None else window.after_seq,
        first_seq=window.first_seq,
        was_reset=given is not None and _mark_of(run) in given.resets,
        is_reset=told is not None and told.is_reset,
        has_conflicts=run.conflicts > 0,
        walks=walks,
    )
    return run.snapshot._replace(before_seq=window.before_seq, since=since)


def _resets(given: Given | None, found: Chosen) -> frozenset[bytes]:
    """Those of before, and the runs where it makes a difference by now."""
    return (given.resets if given else frozenset()) | found.resets


def _mark_of(run: RunView) -> bytes:
    return digest(run.run_uid.encode())[:_RESET_BYTES]
