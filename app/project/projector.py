"""The loop around the merge: the next callbacks of the log, run by run, in one transaction."""

from collections.abc import Sequence
from time import perf_counter, process_time, time_ns
from typing import NamedTuple

from app.model import RunId
from app.project.merge import Merge
from app.project.reading import Reading, read_callback
from app.store.protocol import LogReader, Projection
from app.store.rows import NO_INPUT, CallbackRow, Changes, Claim, InputRow, Known

BATCH_MAX = 1_000
BATCH_BYTES_MAX = 4 * 1024 * 1024
_SHAPES_MAX = 50_000


class Projected(NamedTuple):
    """One batch's work."""

    claim: Claim
    next_seq: int
    is_saved: bool
    """False if another worker took over; then nothing was written."""
    callbacks: int
    oldest_received_ms: int
    compute_s: float
    """Wall time spent computing, without reading and writing."""
    compute_cpu_s: float
    """Processor time of the same: less than the wall time where others compete for it."""


class Projector:
    """Projects the log, batch by batch. Idempotent: progress is kept with what is derived."""

    def __init__(self, log: LogReader, projection: Projection, result_keys: Sequence[str]) -> None:
        self._log = log
        self._projection = projection
        self._result_keys = result_keys
        self._fields_seen: set[tuple[RunId, str, str]] = set()
        self._expected: dict[RunId | None, int] = {}

    def project_batch(self) -> Projected | None:
        """Project the next batch. None if there is nothing to project."""
        claim = self._projection.claim()
        if claim is None:
            return None
        batch, next_seq = self._log.read(claim, callbacks_max=BATCH_MAX, bytes_max=BATCH_BYTES_MAX)
        if next_seq == claim.from_seq:
            return None
        if claim.from_seq != self._expected.pop(claim.run, 0):
            # A rebuild or another worker stepped in: what we wrote may be gone.
            self._fields_seen.clear()
        started, started_cpu = perf_counter(), process_time()
        by_run: dict[RunId, list[Reading]] = {}
        for logged in batch:
            by_run.setdefault(logged.run, []).append(read_callback(logged, self._result_keys))
        compute_s, compute_cpu_s = perf_counter() - started, process_time() - started_cpu
        changes = [self._merge(run, readings) for run, readings in by_run.items()]
        is_saved = self._projection.save(changes, claim, next_seq)
        if is_saved:
            self._expected[claim.run] = next_seq
        oldest_ms = batch[0].received_ms if batch else time_ns() // 1_000_000
        return Projected(claim, next_seq, is_saved, len(batch), oldest_ms, compute_s, compute_cpu_s)

    def _merge(self, run: RunId, readings: Sequence[Reading]) -> Changes:
        earlier = _Earlier(run, self._log, self._projection, self._result_keys)
        merge = Merge(self._known(run, readings), earlier)
        for reading in readings:
            merge.add(reading)
        self._forget_known_fields(merge.changes)
        return merge.changes

    def _known(self, run: RunId, readings: Sequence[Reading]) -> Known:
        """What is stored of a run that its new callbacks may touch."""
        keys = {reading.input_key for reading in readings if reading.input_key != NO_INPUT}
        inputs = {row.input_key: row for row in self._projection.inputs(run, keys)}
        numbers = {key: row.input_no for key, row in inputs.items()} | {NO_INPUT: 0}
        # A content belongs to one input: where that is new, there can be no other callback.
        wanted = {
            (numbers[reading.input_key], reading.content)
            for reading in readings
            if reading.content is not None and reading.input_key in numbers
        }
        by_content: dict[bytes, list[CallbackRow]] = {}
        for row in self._projection.with_contents(run, list(wanted)):
            if row.content is not None:
                by_content.setdefault(row.content, []).append(row)
        return Known(self._projection.run(run), inputs, by_content)

    def _forget_known_fields(self, changes: Changes) -> None:
        """Most results have the fields of those before them: write only what is new."""
        if len(self._fields_seen) > _SHAPES_MAX:
            self._fields_seen.clear()
        run = changes.run.id
        seen = {(run, section, name) for section, name in changes.fields}
        new = seen - self._fields_seen
        self._fields_seen |= new
        changes.fields = {(section, name) for _, section, name in new}


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

    def reading(self, seq: int) -> Reading:
        return read_callback(self._log.callback(self._run, seq), self._result_keys)
