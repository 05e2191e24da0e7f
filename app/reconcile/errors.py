"""What the Edges API may answer instead of what was asked for.

Messages say what, where and what to do. Nothing here holds the API key or a whole body.
"""

from collections.abc import Mapping

from app.canonical import Json


class EdgesApiError(Exception):
    """Base of what asking the Edges API raises."""


class EdgesRefusedError(EdgesApiError):
    """Edges refused the request, and would again: a 4xx, or a redirect, which is not followed."""

    def __init__(self, message: str, *, status: int, error: Mapping[str, Json]) -> None:
        """`error` has the shape of `app.model.normalise_error`."""
        super().__init__(message)
        self.status = status
        self.error = error


class NotFoundError(EdgesRefusedError):
    """404: unknown to Edges, or archived (90 days after it was made)."""


class KeyRefusedError(EdgesRefusedError):
    """401 or 403: `COLLECTOR_EDGES_API_KEY` is not, or no longer, allowed to do this."""


class CursorRefusedError(EdgesRefusedError):
    """400, 404 or 410 for a next page: its cursor has expired. Begin again at the first page."""


class EdgesUnavailableError(EdgesApiError):
    """No usable answer for now, after all tries. Nothing was changed by the request.

    What only asks may have been answered in vain; what changes something had no effect.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        """`retry_after_s` is what Edges asked for, if it did."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OutcomeUnknownError(EdgesApiError):
    """A request that changes something got no usable answer: it may have had its effect or not.

    Ask how things stand before sending it again.
    """


class AnswerShapeError(EdgesApiError):
    """JSON, but not in the shape that the API documents."""


class AnswerTooLargeError(EdgesApiError):
    """An answer that is larger than any page should be; reading it was broken off."""


class ForeignPageError(EdgesApiError):
    """The link to a next page leads away from the configured API, and is not followed."""

    def __init__(self, message: str, *, host: str) -> None:
        super().__init__(message)
        self.host = host
