"""Making an endpoint, changing it, and letting it go."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.dashboard.asking import RefusedError, api_of
from app.dashboard.endpoint_form import (
    EndpointForm,
    FieldProblem,
    body_of,
    empty_form,
    field_problem,
    form_of_endpoint,
    problem_of,
    read_form,
)
from app.dashboard.endpoints import described, endpoint_of
from app.dashboard.event_words import GROUPS
from app.dashboard.pages import form_of, form_pairs, needs, redirected, render, signed_in


@signed_in
async def new_endpoint(request: Request) -> Response:
    """The empty form."""
    needs(request, "admin")
    return _form(request, empty_form())


@signed_in
async def create_endpoint(request: Request) -> Response:
    """Make one, and show its secret; or the form again, with what is wrong."""
    form = read_form(await form_pairs(request))
    if form.more:
        return _form(request, form)
    if problem := problem_of(form):
        return _form(request, form, problem)
    try:
        made = await api_of(request).post("endpoints", body_of(form, is_new=True))
    except RefusedError as error:
        return _form(request, form, _problem(error))
    endpoint = described(made)
    if endpoint["is_mail"]:
        return redirected(request, endpoint["path"])  # nobody could check its secret
    return _secret(request, endpoint, made, is_new=True)


@signed_in
async def edit_endpoint(request: Request) -> Response:
    """The form as the endpoint is set."""
    needs(request, "admin")
    endpoint = await _endpoint(request)
    return _form(request, form_of_endpoint(endpoint), endpoint=endpoint)


@signed_in
async def change_endpoint(request: Request) -> Response:
    """Change one; or the form again, with what is wrong."""
    endpoint = await _endpoint(request)
    form = read_form(await form_pairs(request), endpoint["headers"])
    form = form._replace(signing=endpoint["signing"])
    if form.more:
        return _form(request, form, endpoint=endpoint)
    problem = problem_of(form)
    if problem is None:
        path = f"endpoints/{endpoint['id']}"
        try:
            await api_of(request).ask("PATCH", path, body=body_of(form, is_new=False))
        except RefusedError as error:
            problem = _problem(error)
    if problem is not None:
        return _form(request, form, problem, endpoint=endpoint)
    return redirected(request, endpoint["path"])


@signed_in
async def set_state(request: Request) -> Response:
    """Pause one, or make it active again."""
    state = (await form_of(request)).get("state", "")
    endpoint_id = request.path_params["endpoint_id"]
    answer = await api_of(request).ask("PATCH", f"endpoints/{endpoint_id}", body={"state": state})
    return redirected(request, described(answer.json())["path"])


@signed_in
async def rotate_secret(request: Request) -> Response:
    """Give one a new secret, and show it."""
    signing = (await form_of(request)).get("signing", "")
    endpoint_id = request.path_params["endpoint_id"]
    body = {"signing": signing} if signing else {}
    rotated = await api_of(request).post(f"endpoints/{endpoint_id}/rotate-secret", body)
    return _secret(request, await _endpoint(request), rotated, is_new=False)


@signed_in
async def delete_endpoint(request: Request) -> Response:
    """Let one go, with what is recorded of its deliveries."""
    endpoint_id = request.path_params["endpoint_id"]
    await api_of(request).ask("DELETE", f"endpoints/{endpoint_id}")
    return redirected(request, "/endpoints")


async def _endpoint(request: Request) -> dict[str, Any]:
    endpoint_id = request.path_params["endpoint_id"]
    return await endpoint_of(api_of(request), endpoint_id)


def _problem(error: RefusedError) -> FieldProblem:
    """What the form says of a refusal. Raises it where the form is not to blame."""
    if error.status not in (400, 409, 413):
        raise error
    return field_problem(error.detail, error.pointer)


def _form(
    request: Request,
    form: EndpointForm,
    problem: FieldProblem | None = None,
    *,
    endpoint: dict[str, Any] | None = None,
) -> Response:
    return render(
        request,
        "endpoint_form.html",
        422 if problem else 200,
        form=form,
        problem=problem,
        endpoint=endpoint,
        groups=GROUPS,
    )


def _secret(
    request: Request, endpoint: dict[str, Any], revealed: dict[str, Any], *, is_new: bool
) -> Response:
    """The one page that shows a secret: it is in no address and in no cookie."""
    return render(
        request,
        "endpoint_secret.html",
        endpoint=endpoint,
        secret=revealed["secret"],
        public_key=revealed["public_key"],
        is_new=is_new,
        both_until=revealed.get("previous_secret_signs_until"),
    )
