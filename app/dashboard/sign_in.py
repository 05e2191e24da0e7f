"""Signing in with an API key, and out."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.api.sessions import Sessions, is_from_elsewhere
from app.dashboard.asking import RefusedError
from app.dashboard.pages import DATABASE_SILENT, form_of, problem_page, render, signed_in
from app.store.protocol import StoreUnavailableError

if TYPE_CHECKING:
    from app.api.access import Keyring


async def sign_in_page(request: Request) -> Response:
    """The form."""
    query = request.query_params
    return _page(request, wanted=query.get("next", ""), is_expired="expired" in query)


async def sign_in(request: Request) -> Response:
    """Begin a session, and go where its owner wanted to."""
    try:
        form = await form_of(request)
    except RefusedError as error:
        return problem_page(request, error.status, error.title, error.detail)
    if is_from_elsewhere(request):
        return problem_page(request, 403, "This form is not from here", "Sign in on this page.")
    keyring: Keyring = request.app.state.keyring
    key = form.get("key", "").strip()
    try:
        access = await keyring.identify(key)
    except StoreUnavailableError:
        return problem_page(request, *DATABASE_SILENT)
    if access is None:
        return _page(request, 403, wanted=form.get("next", ""), problem=keyring.refusal(key))
    sessions: Sessions = request.app.state.sessions
    response = RedirectResponse(_own_path(form.get("next", "")), 303)
    sessions.begin(request, response, access)
    return response


@signed_in
async def sign_out(request: Request) -> Response:
    """End the session in this browser."""
    sessions: Sessions = request.app.state.sessions
    response = RedirectResponse("/sign-in", 303)
    sessions.end(response)
    return response


def _page(
    request: Request,
    status: int = 200,
    *,
    wanted: str,
    problem: str = "",
    is_expired: bool = False,
) -> Response:
    return render(
        request,
        "sign_in.html",
        status,
        problem=problem,
        is_expired=is_expired,
        next=_own_path(wanted),
    )


def _own_path(path: str) -> str:
    """`path` if it leads to a page here, else the first page: never to another site."""
    is_own = path.startswith("/") and not path.startswith(("//", "/\\", "/sign-"))
    return path if is_own and path.isprintable() else "/"
