"""One run derived anew, in a transaction that whoever gives this out begins and ends."""

from collections.abc import Callable, Sequence

from app.model import RunId
from app.store.protocol import Projection
from app.store.rows import Changes, Claim


class Anew:
    """A projection that has no more than this run to be projected, from its first callback on.

    No events are raised: they were when it was derived first.
    """

    def __init__(
        self,
        projection: Projection,
        run: RunId,
        before_seq: int,
        write: Callable[[Sequence[Changes]], None],
    ) -> None:
        """`before_seq`: how far the run was derived before; `write` writes without committing."""
        self._run_id = run
        self._next_seq = 1
        self._before_seq = before_seq
        self._write = write
        self.run = projection.run
        self.inputs = projection.inputs
        self.aliased = projection.aliased
        self.edges_callbacks = projection.edges_callbacks
        self.with_keys = projection.with_keys
        self.output_pages = projection.output_pages
        self.with_contents = projection.with_contents
        self.family = projection.family
        self.input = projection.input

    def claim(self) -> Claim | None:
        """What is left of the run."""
        if self._next_seq >= self._before_seq:
            return None
        return Claim(self._run_id, self._next_seq, self._before_seq, announced_seq=1 << 62)

    def save(self, changes: Sequence[Changes], claim: Claim, next_seq: int) -> bool:
        """Write it; it takes effect with all else."""
        del claim
        self._write(changes)
        self._next_seq = next_seq
        return True
