"""A delivery with every try, tests of endpoints, and sending again."""

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.dashboard.asking import RefusedError, api_of
from app.dashboard.bodies import readable
from app.dashboard.endpoints import endpoint_of, poll_s
from app.dashboard.pages import form_of, redirected, render, signed_in
from app.dashboard.words import path_part
from app.model import timestamp

CHANGED = {"HX-Trigger": "deliveries"}
"""Has tables of deliveries on the page ask anew."""

TEST_LOOKS_MAX = 120
"""How often the page looks for what became of a test, before it says where to look later."""


@signed_in
async def delivery_page(request: Request) -> Response:
    """One delivery; only what changes by itself where htmx asks for it."""
    api, delivery_id = api_of(request), request.path_params["delivery_id"]
    delivery = await api.get(f"deliveries/{delivery_id}")
    endpoint = await endpoint_of(api, delivery["endpoint_id"])
    context: dict[str, Any] = {
        "delivery": delivery,
        "endpoint": endpoint,
        "path": f"/deliveries/{path_part(delivery['id'])}",
        "poll_s": poll_s([delivery]) if endpoint["state"] == "active" else None,
    }
    is_part = request.headers.get("hx-target") == "delivery"
    return render(request, "delivery_part.html" if is_part else "delivery.html", **context)


@signed_in
async def delivery_body(request: Request) -> Response:
    """The part of a delivery's page that shows what is sent."""
    path = f"deliveries/{request.path_params['delivery_id']}/body"
    try:
        answer = await api_of(request).ask("GET", path)
    except RefusedError as error:
        return render(request, "problem_part.html", title=error.title, detail=error.detail)
    content_type = answer.headers.get("content-type", "")
    return render(
        request,
        "body_part.html",
        body=readable(answer.body),
        content_type=content_type,
        whole=f"/api/v1/{path}",
    )


@signed_in
async def redeliver(request: Request) -> Response:
    """Have one delivered again."""
    delivery_id = request.path_params["delivery_id"]
    await api_of(request).post(f"deliveries/{delivery_id}/redeliver")
    if "hx-request" in request.headers:
        return Response(status_code=204, headers=CHANGED)
    return redirected(request, f"/deliveries/{path_part(delivery_id)}")


@signed_in
async def redeliver_failed(request: Request) -> Response:
    """Have all delivered again that failed since a time."""
    endpoint_id = request.path_params["endpoint_id"]
    since = (await form_of(request)).get("since", "")
    try:
        moment = datetime.fromisoformat(since).replace(tzinfo=UTC)
    except ValueError:
        raise RefusedError(
            422, "That is no time", "Go back, and give a time such as 2026-11-24 09:30, in UTC."
        ) from None
    body = {"failed_since": timestamp(round(moment.timestamp() * 1000))}
    made = await api_of(request).post(f"endpoints/{endpoint_id}/redeliver", body)
    return redirected(
        request, f"/endpoints/{path_part(endpoint_id)}?again={made['deliveries']}#deliveries"
    )


@signed_in
async def test_endpoint(request: Request) -> Response:
    """Send an endpoint a test; the answer shows what becomes of it, as soon as that is known."""
    endpoint_id = request.path_params["endpoint_id"]
    sent = await api_of(request).post(f"endpoints/{endpoint_id}/test")
    if "hx-request" not in request.headers:
        return redirected(request, f"/deliveries/{path_part(sent['delivery_id'])}")
    return _tested(request, {"id": sent["delivery_id"], "attempts": []}, 0)


@signed_in
async def tested(request: Request) -> Response:
    """What became of a test so far."""
    delivery_id = request.path_params["delivery_id"]
    looks = request.query_params.get("looks", "")
    given = int(looks) if looks.isascii() and looks.isdigit() and len(looks) < 6 else 0
    return _tested(request, await api_of(request).get(f"deliveries/{delivery_id}"), given + 1)


def _tested(request: Request, delivery: dict[str, Any], looks: int) -> Response:
    attempts = delivery["attempts"]
    response = render(
        request,
        "tested.html",
        delivery=delivery,
        attempt=attempts[-1] if attempts else None,
        looks=looks,
        is_patient=looks < TEST_LOOKS_MAX,
    )
    if attempts or not looks:
        response.headers.update(CHANGED)
    return response
