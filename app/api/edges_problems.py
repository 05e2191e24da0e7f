"""What the Edges API refuses, or fails at, as problems: the one place that maps them."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.api.problems import RETRY_AFTER_S, ProblemError
from app.reconcile.errors import (
    EdgesApiError,
    EdgesRefusedError,
    EdgesUnavailableError,
    KeyRefusedError,
    NotFoundError,
    OutcomeUnknownError,
)


@contextmanager
def edges_problems() -> Iterator[None]:
    """Turn what asking Edges raises into a ProblemError; `error` is what Edges said."""
    try:
        yield
    except NotFoundError as error:
        raise ProblemError(
            404, "Not found at Edges", str(error), error=dict(error.error)
        ) from error
    except KeyRefusedError as error:
        raise ProblemError(
            409, "Edges refuses the key", str(error), error=dict(error.error)
        ) from error
    except EdgesRefusedError as error:
        raise ProblemError(422, "Edges refused", str(error), error=dict(error.error)) from error
    except EdgesUnavailableError as error:
        wait_s = max(1, round(error.retry_after_s or RETRY_AFTER_S))
        raise ProblemError(
            503, "Edges cannot answer now", str(error), headers={"Retry-After": str(wait_s)}
        ) from error
    except OutcomeUnknownError as error:
        raise ProblemError(504, "It is unknown whether Edges did it", str(error)) from error
    except EdgesApiError as error:
        raise ProblemError(502, "Edges gave an answer of no use", str(error)) from error
