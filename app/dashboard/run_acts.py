"""What is done on a run's page: asking Edges, having a file, deleting the run."""

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.dashboard.asking import RefusedError, api_of
from app.dashboard.pages import form_of, form_pairs, redirected, signed_in
from app.dashboard.run import FORMATS, overview, path_of
from app.export.compression import COMPRESSIONS
from app.export.formats import FORMATS as WRITERS

ACTS = ("reconcile", "resume", "continue", "cancel")

Pairs = list[tuple[str, str]]


@signed_in
async def act(request: Request) -> Response:
    """Ask Edges for something; what it refuses is said beside the button."""
    uid, name = request.path_params["run_uid"], request.url.path.rpartition("/")[2]
    form = await form_of(request)
    query = {"incomplete": "true"} if name == "continue" and "incomplete" in form else {}
    try:
        await api_of(request).ask("POST", f"runs/{uid}/{name}", query)
    except RefusedError as error:
        return await overview(request, error.status, refused=error, refused_of="act", form=form)
    return redirected(request, f"{path_of(uid)}?asked={name}")


@signed_in
async def delete(request: Request) -> Response:
    """Erase the run, if its uid was typed in."""
    uid, form = request.path_params["run_uid"], await form_of(request)
    if form.get("confirmation", "").strip() != uid:
        refused = RefusedError(
            422, "Nothing was deleted", "What you typed is not the uid of this run. Copy it."
        )
        return await overview(request, 422, refused=refused, refused_of="delete", form=form)
    erasure = (await api_of(request).ask("DELETE", f"runs/{uid}")).json()
    query = urlencode({"erasure": erasure["erasure_id"]})
    return redirected(request, f"{path_of(uid)}?{query}")


@signed_in
async def download(request: Request) -> Response:
    """Lead to the file that the form describes; what cannot be had is said beside the form."""
    uid = request.path_params["run_uid"]
    given = list(request.query_params.multi_items())
    asked = _asked(given)
    try:
        await api_of(request).check(f"runs/{uid}/results", asked)
    except RefusedError as error:
        form = dict(given)
        return await overview(request, error.status, refused=error, refused_of="file", form=form)
    return RedirectResponse(f"/api/v1{path_of(uid, 'results')}?{urlencode(asked)}", 303)


@signed_in
async def export(request: Request) -> Response:
    """Have the file that the form describes made in the background."""
    uid, given = request.path_params["run_uid"], await form_pairs(request)
    asked: dict[str, Any] = {"run_uid": uid}
    for name, value in _asked(given):
        asked[name] = [*asked.get(name, []), value] if name == "fields" else value
    try:
        made = await api_of(request).post("exports", asked)
    except RefusedError as error:
        form = dict(given)
        return await overview(request, error.status, refused=error, refused_of="file", form=form)
    query: Pairs = [("export", made["export_id"])]
    query += [pair for pair in given if pair[0] == "columns"]
    return redirected(request, f"{path_of(uid)}?{urlencode(query)}#file")


def _asked(given: Pairs) -> Pairs:
    """What the API is asked for, from the fields of the form."""
    form = dict(given)
    name = form.get("format", "")
    asked = [("format", name if name in FORMATS else "csv")]
    compression = form.get("compression", "")
    if compression in COMPRESSIONS and WRITERS[asked[0][1]].is_compressible:
        asked.append(("compression", compression))
    if form.get("rows") == "distinct":
        asked.append(("distinct_on", form.get("distinct_on", "").strip() or "auto"))
    if form.get("rows") == "inputs":
        asked.append(("join", "inputs"))
    if name == "csv" and "excel" in form:
        asked.append(("bom", "true"))
    if "only" in form:
        asked += [("fields", value) for field, value in given if field == "columns"]
    return asked
