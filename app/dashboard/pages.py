"""Pages: templates filled, and what every page and form carries."""

import gzip
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app import __version__
from app.api.sessions import COOKIE, Session, Sessions, is_from_elsewhere
from app.dashboard.asking import Api, RefusedError
from app.dashboard.static import url_of
from app.dashboard.words import FILTERS, path_with, share
from app.store.protocol import StoreUnavailableError

FORM_BYTES_MAX = 256 * 1024
REFRESH_MS_MIN = 3_000
REFRESH_MS_EACH = 300
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Vary": "Accept-Encoding",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_TEMPLATES = Environment(
    loader=PackageLoader("app.dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(FILTERS)
_TEMPLATES.globals.update(share=share, asset=url_of, version=__version__)

DATABASE_SILENT = (503, "The database does not answer", "Reload the page in a moment.")

View = Callable[[Request], Awaitable[Response]]


def render(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    """The page or the part of one that `template` makes of `context`."""
    session: Session | None = getattr(request.state, "session", None)
    sessions: Sessions = request.app.state.sessions
    refresh_ms = refresh_pause_ms(request.app.state.watchers())
    text = _TEMPLATES.get_template(template).render(
        request=request,
        access=session.access if session else None,
        csrf=sessions.form_token(session) if session else "",
        refresh_ms=refresh_ms,
        **context,
    )
    headers = {**_HEADERS, "X-Refresh-After": str(refresh_ms)}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return HTMLResponse(text, status, headers)
    headers["Content-Encoding"] = "gzip"
    return HTMLResponse(gzip.compress(text.encode(), 5, mtime=0), status, headers)


def refresh_pause_ms(watchers: int) -> int:
    """How long parts of pages that are asked for anew have to wait, in ms.

    The more pages are open the longer, so that all of them together cost the same: looking on
    must not slow down receiving. What the stream of events tells is shown at once all the same.
    """
    return max(REFRESH_MS_MIN, watchers * REFRESH_MS_EACH)


def signed_in(view: View) -> View:
    """A view for whoever is signed in; others are sent to sign in, and then back.

    Whatever changes something has to carry the session's token, as a field or a header. What the
    API refuses is shown as a page.
    """

    @wraps(view)
    async def guarded(request: Request) -> Response:
        sessions: Sessions = request.app.state.sessions
        try:
            session = await sessions.of(request)
        except StoreUnavailableError:
            return problem_page(request, *DATABASE_SILENT)
        if session is None:
            return _to_sign_in(request)
        request.state.session = session
        request.state.api = Api(request.app.state.api, session.access)
        if request.method not in ("GET", "HEAD") and not await _is_own(request, session):
            return problem_page(
                request,
                403,
                "This form is not from here, or too old",
                "Go back, reload the page, and send it again. Nothing was changed.",
            )
        try:
            return await view(request)
        except RefusedError as error:
            return problem_page(request, error.status, error.title, error.detail)

    return guarded


def needs(request: Request, scope: str) -> None:
    """Raises RefusedError unless whoever is signed in may do what `scope` stands for.

    For pages that are of no use to others; what is posted is checked by the API.
    """
    session: Session = request.state.session
    if not session.access.may(scope):
        detail = f"This page needs a key with the scope {scope}. Sign in with one that has it."
        raise RefusedError(403, "Not with this key", detail)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form; of one that is there twice, the last. Raises RefusedError."""
    return dict(await form_pairs(request))


async def form_pairs(request: Request) -> list[tuple[str, str]]:
    """The fields of a form in their order. Raises RefusedError if it is too large."""
    body = b""
    if not hasattr(request, "_body"):
        async for chunk in request.stream():
            body += chunk
            if len(body) > FORM_BYTES_MAX:
                raise RefusedError(413, "Form too large", "shorten what you typed, and try again")
        request._body = body  # noqa: SLF001 - as request.body() keeps it, but bounded
    return parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)


def redirected(request: Request, path: str) -> Response:
    """Go to another page: whoever posted a form, or a part that was asked for by htmx."""
    if "hx-request" in request.headers:
        return Response(status_code=204, headers={"HX-Redirect": path})
    return RedirectResponse(path, 303)


def pages_of(path: str, chosen: Mapping[str, str], next_cursor: str | None) -> dict[str, Any]:
    """Where the `first` and the `next` page of a list are; None if there is no next one."""
    following = path_with(path, {**chosen, "cursor": next_cursor}) if next_cursor else None
    return {"first": path_with(path, chosen), "next": following}


def problem_page(request: Request, status: int, title: str, detail: str) -> Response:
    """What went wrong, in place of a page or of a part of one."""
    template = "problem_part.html" if "hx-request" in request.headers else "problem.html"
    return render(request, template, status, title=title, detail=detail)


def _to_sign_in(request: Request) -> Response:
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": "/sign-in?expired=true"})
    if request.method not in ("GET", "HEAD"):
        return RedirectResponse("/sign-in?expired=true", 303)
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    query = {"next": back} if back != "/" else {}
    if COOKIE in request.cookies:
        query["expired"] = "true"
    return RedirectResponse(path_with("/sign-in", query), 303)


async def _is_own(request: Request, session: Session) -> bool:
    if is_from_elsewhere(request):
        return False
    token = request.headers.get(CSRF_HEADER) or (await form_of(request)).get(CSRF_FIELD, "")
    sessions: Sessions = request.app.state.sessions
    return sessions.is_own_form(session, token)
