"""The loop around the merge: the next callbacks of the log, run by run, in one transaction."""

from collections.abc import Iterable, Sequence
from functools import partial
from time import perf_counter, process_time, time_ns
from typing import TYPE_CHECKING, NamedTuple

from app.event import Event
from app.listed import digests_of
from app.model import Logged, RunId, Source
from app.project.answers import Answer, read_answer
from app.project.catalogue import Catalogue
from app.project.inputs import twin_key
from app.project.merge import Merge
from app.project.raising import Standing, raised, standing
from app.project.reading import Reading, read_callback
from app.project.recount import has_any, recount
from app.project.telling import Telling
from app.proof import is_reset
from app.store.database import Rebuild, Work
from app.store.protocol import LogReader, Projection
from app.store.rows import (
    NO_INPUT,
    CallbackRow,
    Changes,
    Claim,
    EdgesCallbackRow,
    InputRow,
    Known,
)

if TYPE_CHECKING:
    from app.settings import Settings
    from app.work_settings import WorkSettings

BATCH_MAX = 1_000
BATCH_BYTES_MAX = 4 * 1024 * 1024
ANSWER_BYTES_MAX = 1024 * 1024
"""Of answers of Edges in a batch, unless one alone is larger: read, they take many times that."""

_RUNS_MAX = 5_000
_OUTLINES_MAX = 50_000
"""Of all runs; then what is known of their fields is forgotten, and found out again."""


class Projected(NamedTuple):
    """One batch's work."""

    claim: Claim
    next_seq: int
    is_saved: bool
    """False if another worker took over; then nothing was written."""
    callbacks: int
    body_bytes: int
    events: int
    """How many it raised."""
    has_callbacks: bool
    """False if all of them are answers of Edges, which nobody sends in a burst."""
    oldest_received_ms: int
    compute_s: float
    """Wall time spent computing, without reading and writing."""
    compute_cpu_s: float
    """Processor time of the same: less than the wall time where others compete for it."""


class Projector:
    """Projects the log, batch by batch. Idempotent: progress is kept with what is derived."""

    def __init__(
        self,
        log: LogReader,
        projection: Projection,
        result_keys: Sequence[str],
        *,
        asks_edges: bool = False,
    ) -> None:
        """`asks_edges`: whether Edges will be asked about runs; see `app.project.raising`."""
        self._asks_edges = asks_edges
        self._log = log
        self._projection = projection
        self._result_keys = result_keys
        self._catalogues: dict[RunId, Catalogue] = {}
        self._expected: dict[RunId | None, tuple[int, int]] = {}

    def project_batch(self) -> Projected | None:
        """Project the next batch. None if there is nothing to project."""
        claim = self._projection.claim()
        if claim is None:
            return None
        batch, next_seq = self._log.read(claim, callbacks_max=BATCH_MAX, bytes_max=BATCH_BYTES_MAX)
        if next_seq == claim.from_seq:
            return None
        batch, next_seq = _bounded(batch, next_seq, claim.announced_seq)
        is_news = bool(batch) and batch[-1].seq >= claim.announced_seq
        if (claim.from_seq, claim.derivation) != self._expected.pop(claim.run, None):
            # A rebuild, another worker or an erasure stepped in: what we wrote may be gone.
            self._catalogues.clear()
        started, started_cpu = perf_counter(), process_time()
        by_run: dict[RunId, _Entries] = {}
        for logged in batch:
            entries = by_run.get(logged.run)
            if entries is None:
                entries = by_run[logged.run] = _Entries([], [], self._catalogue(logged.run))
            self._read(logged, entries)
        compute_s, compute_cpu_s = perf_counter() - started, process_time() - started_cpu
        changes = [self._merge(run, entries, is_news=is_news) for run, entries in by_run.items()]
        is_saved = self._projection.save(changes, claim, next_seq)
        if is_saved:
            if len(self._expected) >= _RUNS_MAX:
                self._expected.clear()  # what is known of their fields goes when they come again
            self._expected[claim.run] = next_seq, claim.derivation
        oldest_ms = batch[0].received_ms if batch else time_ns() // 1_000_000
        size = sum(len(logged.body) for logged in batch)
        has_callbacks = any(logged.source == Source.CALLBACK for logged in batch)
        return Projected(
            claim,
            next_seq,
            is_saved,
            len(batch),
            size,
            sum(change.events_raised for change in changes),
            has_callbacks,
            oldest_ms,
            compute_s,
            compute_cpu_s,
        )

    def _read(self, logged: Logged, entries: "_Entries") -> None:
        if logged.source == Source.CALLBACK:
            reading = read_callback(logged, self._result_keys, entries.catalogue)
            entries.callbacks.append(reading)
        elif logged.conflicts_with is None:
            answer = read_answer(logged, entries.catalogue)
            if answer is not None:
                entries.answers.append(answer)

    def _merge(self, run: RunId, entries: "_Entries", *, is_news: bool) -> Changes:
        """Callbacks before answers: neither minds, and answers count what callbacks brought."""
        earlier = _Earlier(run, self._log, self._projection, self._result_keys)
        known = self._known(run, entries)
        before = standing(known.run, asks_edges=self._asks_edges)
        merge = Merge(known, earlier, entries.catalogue)
        for reading in entries.callbacks:
            merge.add(reading)
        must_recount = False
        if entries.answers:
            telling = Telling(merge.changes, merge.inputs, earlier)
            telling.add_all(entries.answers)
            must_recount = telling.must_recount
        self._recount_if_due(merge, must_recount=must_recount)
        merge.changes.fields = entries.catalogue.take_news()
        if is_news:
            merge.changes.events = partial(self._raised, before)
        return merge.changes

    def _raised(self, before: Standing, changes: Changes) -> list[Event]:
        return raised(
            changes,
            before,
            asks_edges=self._asks_edges,
            duplicates=self._log.duplicates(changes.run.id),
            now_ms=time_ns() // 1_000_000,
        )

    def _recount_if_due(self, merge: Merge, *, must_recount: bool) -> None:
        """Have it decided again which results of `/outputs` count, if that may have changed."""
        changes = merge.changes
        told = changes.run.told
        if told is None:
            return
        if not told.from_outputs and not must_recount:
            now_reset = is_reset(told, changes.run.results)
            if any(
                walk.kind == Source.OUTPUTS and walk.is_complete for walk in told.walks.values()
            ):
                must_recount = merge.has_taken_back or now_reset != told.is_reset
            told.is_reset = now_reset
        elif not must_recount:
            is_flipped = is_reset(told, changes.run.all_results) != told.is_reset
            must_recount = merge.has_taken_back or is_flipped or self._brings_listed(changes)
        if must_recount:
            changes.recount = partial(recount, told, changes.run.results)

    def _brings_listed(self, changes: Changes) -> bool:
        """Whether new callbacks bring what so far only `/outputs` showed."""
        rows = (*changes.new_callbacks, *changes.changed_callbacks.values())
        wanted = {one for row in rows for one in digests_of(row.digests)}
        pages = self._projection.output_pages(changes.run.id, counted_only=True)
        return bool(wanted) and has_any(wanted, pages)

    def _known(self, run: RunId, entries: "_Entries") -> Known:
        """What is stored of a run that its new entries may touch."""
        readings = entries.callbacks
        row = self._projection.run(run)
        keys = {reading.input_key for reading in readings if reading.input_key != NO_INPUT}
        told = [item for answer in entries.answers for item in answer.inputs]
        keys |= {key for item in told for key in (item.key, item.alias_key) if key != NO_INPUT}
        inputs = {found.input_key: found for found in self._projection.inputs(run, keys)}
        if told:
            twins = {
                twin_key(item.key, item.uid)
                for item in told
                if item.key in inputs and inputs[item.key].input_uid not in (None, item.uid)
            }
            inputs |= {found.input_key: found for found in self._projection.inputs(run, twins)}
        aliased: dict[bytes, InputRow] = {}
        if row.told is not None and row.told.inputs:
            unknown = keys - inputs.keys()
            for found in self._projection.aliased(run, unknown):
                if found.alias_key is not None:
                    first = aliased.get(found.alias_key, found)
                    aliased[found.alias_key] = min(first, found, key=lambda one: one.listed_at)
        numbers = {key: found.input_no for key, found in inputs.items()} | {NO_INPUT: 0}
        numbers |= {key: found.input_no for key, found in aliased.items()}
        # A content belongs to one input: where that is new, there can be no other callback.
        wanted = {
            (numbers[reading.input_key], reading.content)
            for reading in readings
            if reading.content is not None and reading.input_key in numbers
        }
        by_content: dict[bytes, list[CallbackRow]] = {}
        for callback in self._projection.with_contents(run, list(wanted)):
            if callback.content is not None:
                by_content.setdefault(callback.content, []).append(callback)
        return Known(row, inputs, aliased, by_content)

    def _catalogue(self, run: RunId) -> Catalogue:
        """What was written of a run's fields already, as far as it is remembered."""
        found = self._catalogues.get(run)
        if found is None:
            outlines = sum(one.outlines for one in self._catalogues.values())
            if outlines > _OUTLINES_MAX or len(self._catalogues) >= _RUNS_MAX:
                self._catalogues.clear()
            found = self._catalogues[run] = Catalogue()
        return found


def projector_of(store: Work | Rebuild, settings: "Settings | WorkSettings") -> Projector:
    """What projects a database as the settings want it."""
    return Projector(
        store.log,
        store.projection,
        settings.result_keys,
        asks_edges=settings.asks_edges,
    )


def _bounded(batch: list[Logged], next_seq: int, announced_seq: int) -> tuple[list[Logged], int]:
    """As much of a batch as may be read at once, and the seq after it.

    What is announced is not read together with what is news.
    """
    size = 0
    for place, logged in enumerate(batch):
        if place and logged.seq >= announced_seq > batch[0].seq:
            return batch[:place], logged.seq
        if logged.source != Source.CALLBACK:
            size += len(logged.body)
            if size > ANSWER_BYTES_MAX and place:
                return batch[:place], logged.seq
    return batch, next_seq


class _Entries(NamedTuple):
    """New entries of one run."""

    callbacks: list[Reading]
    answers: list[Answer]
    catalogue: Catalogue


class _Earlier:
    """Stored rows of one run, for the merge's rare cases."""

    def __init__(
        self, run: RunId, log: LogReader, projection: Projection, result_keys: Sequence[str]
    ) -> None:
        self._run = run
        self._log = log
        self._projection = projection
        self._result_keys = result_keys

    def family(self, first_seq: int) -> list[CallbackRow]:
        return self._projection.family(self._run, first_seq)

    def with_content(self, input_no: int, content: bytes) -> list[CallbackRow]:
        return list(self._projection.with_contents(self._run, [(input_no, content)]))

    def input(self, input_no: int) -> InputRow:
        return self._projection.input(self._run, input_no)

    def edges_callbacks(self, uids: Sequence[str]) -> Iterable[EdgesCallbackRow]:
        return self._projection.edges_callbacks(self._run, uids)

    def with_keys(self, keys: Sequence[str]) -> Iterable[CallbackRow]:
        return self._projection.with_keys(self._run, keys)

    def reading(self, seq: int) -> Reading:
        return read_callback(self._log.callback(self._run, seq), self._result_keys)
