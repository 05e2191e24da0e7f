"""The loop around the merge: the next callbacks of the log, run by run, in one transaction."""

from collections.abc import Collection, Sequence
from time import perf_counter, process_time
from typing import NamedTuple, Protocol

from app.model import Logged
from app.project.merge import Merge
from app.project.reading import Reading, read_callback
from app.store.rows import NO_INPUT, CallbackRow, Changes, InputRow, Known

BATCH_MAX = 2_000
BATCH_BYTES_MAX = 6 * 1024 * 1024
_SHAPES_MAX = 50_000


class Log(Protocol):
    """What the projector reads."""

    def read(self, from_seq: int, *, callbacks_max: int, bytes_max: int) -> list[Logged]:
        """Callbacks from `from_seq` on."""

    def callback(self, seq: int) -> Logged:
        """One callback."""

    def run_uid(self, run_no: int) -> str:
        """The uid of a run."""


class Projection(Protocol):
    """What the projector writes."""

    def next_seq(self) -> int:
        """The first seq that is not projected."""

    def load(
        self,
        run_no: int,
        run_uid: str,
        input_keys: Collection[bytes],
        contents: Collection[tuple[bytes, bytes]],
    ) -> Known:
        """What new callbacks may touch."""

    def with_content(self, run_no: int, input_no: int, content: bytes) -> list[CallbackRow]:
        """Callbacks of an input with this content."""

    def family(self, run_no: int, first_seq: int) -> list[CallbackRow]:
        """A callback and its conflicts."""

    def input(self, run_no: int, input_no: int) -> InputRow:
        """One input."""

    def save(self, changes: Sequence[Changes], *, from_seq: int, next_seq: int) -> bool:
        """Write it all, or nothing."""


class Projected(NamedTuple):
    """One batch's work."""

    callbacks: int
    oldest_received_ms: int
    compute_s: float
    """Wall time spent computing, without reading and writing."""
    compute_cpu_s: float
    """Processor time of the same: less than the wall time where others compete for it."""


class Projector:
    """Projects the log, batch by batch. Idempotent: progress is kept with what is derived."""

    def __init__(self, log: Log, projection: Projection, result_keys: Sequence[str]) -> None:
        self._log = log
        self._projection = projection
        self._result_keys = result_keys
        self._fields_seen: set[tuple[int, str, str]] = set()
        self._expected_seq = 0

    def project_batch(self) -> Projected | None:
        """Project the next batch. None if there is nothing to project."""
        from_seq = self._projection.next_seq()
        batch = self._log.read(from_seq, callbacks_max=BATCH_MAX, bytes_max=BATCH_BYTES_MAX)
        if not batch:
            return None
        if from_seq != self._expected_seq:  # a rebuild stepped in: what we wrote may be gone
            self._fields_seen.clear()
        started, started_cpu = perf_counter(), process_time()
        by_run: dict[int, list[Reading]] = {}
        for logged in batch:
            by_run.setdefault(logged.run_no, []).append(read_callback(logged, self._result_keys))
        compute_s, compute_cpu_s = perf_counter() - started, process_time() - started_cpu
        changes = [self._merge(run_no, readings) for run_no, readings in by_run.items()]
        next_seq = batch[-1].seq + 1
        is_saved = self._projection.save(changes, from_seq=from_seq, next_seq=next_seq)
        self._expected_seq = next_seq if is_saved else 0
        return Projected(len(batch), batch[0].received_ms, compute_s, compute_cpu_s)

    def _merge(self, run_no: int, readings: Sequence[Reading]) -> Changes:
        known = self._projection.load(
            run_no,
            self._log.run_uid(run_no),
            {reading.input_key for reading in readings if reading.input_key != NO_INPUT},
            {(one.input_key, one.content) for one in readings if one.content is not None},
        )
        earlier = _Earlier(run_no, self._log, self._projection, self._result_keys)
        merge = Merge(known, earlier)
        for reading in readings:
            merge.add(reading)
        self._forget_known_fields(merge.changes)
        return merge.changes

    def _forget_known_fields(self, changes: Changes) -> None:
        """Most results have the fields of those before them: write only what is new."""
        if len(self._fields_seen) > _SHAPES_MAX:
            self._fields_seen.clear()
        run_no = changes.run.run_no
        seen = {(run_no, section, name) for section, name in changes.fields}
        new = seen - self._fields_seen
        self._fields_seen |= new
        changes.fields = {(section, name) for _, section, name in new}


class _Earlier:
    """Stored rows of one run, for the merge's rare cases."""

    def __init__(
        self, run_no: int, log: Log, projection: Projection, result_keys: Sequence[str]
    ) -> None:
        self._run_no = run_no
        self._log = log
        self._projection = projection
        self._result_keys = result_keys

    def family(self, first_seq: int) -> list[CallbackRow]:
        return self._projection.family(self._run_no, first_seq)

    def with_content(self, input_no: int, content: bytes) -> list[CallbackRow]:
        return self._projection.with_content(self._run_no, input_no, content)

    def input(self, input_no: int) -> InputRow:
        return self._projection.input(self._run_no, input_no)

    def reading(self, seq: int) -> Reading:
        return read_callback(self._log.callback(seq), self._result_keys)
