"""`/api/v1/endpoints`: where events go, and secrets that are shown once."""

import contextlib
from secrets import token_hex
from time import time_ns

from starlette.requests import Request
from starlette.responses import Response
from uuid_utils import uuid7

from app.api.json_body import json_object, validated
from app.api.pages import answer, page
from app.api.parameters import Parameters
from app.api.problems import ProblemError, not_found
from app.api.resources import Resources, resources_of
from app.canonical import Json
from app.event import TEST
from app.model import timestamp
from app.notify.endpoint import EndpointConfig, EndpointSecrets, check_headers, read_config
from app.notify.mail import check_recipient
from app.notify.sealing import SealError
from app.notify.sending import COMMAND_URL, opened_secrets, sealed_secrets
from app.notify.signing import new_secret, public_key
from app.notify.webhook import check_url
from app.record import Record, time_of
from app.store.outbox_rows import EndpointRow

BODY_BYTES_MAX = 256 * 1024
ENDPOINTS_MAX = 1_000
ROTATION_MS = 24 * 3_600_000
"""How long the secret before a rotation signs too."""

STATES = ("active", "paused")
NOT_SHOWN = "…"
"""Stands for the value of a header: a secret may be in it."""


def _now_ms() -> int:
    return time_ns() // 1_000_000


async def list_endpoints(request: Request) -> Response:
    """All endpoints, oldest first."""
    Parameters(request, ())
    resources = resources_of(request)
    pending = await resources.reader.pending_deliveries()
    rows = await resources.store.outbox.endpoints()
    records = [_record(resources, row, pending, must_open=False) for row in rows]
    return page(request, records, None)


async def get_endpoint(request: Request) -> Response:
    """One endpoint."""
    Parameters(request, ())
    return await _shown(request, await endpoint_of(request), must_open=True)


async def create_endpoint(request: Request) -> Response:
    """Make one; the answer shows its secret, once."""
    Parameters(request, ())
    resources = resources_of(request)
    body = await json_object(request, BODY_BYTES_MAX) or {}
    headers = _headers(body.pop("headers", None))
    config = _checked(resources, body)
    if len(await resources.store.outbox.endpoints()) >= ENDPOINTS_MAX:
        raise ProblemError(409, "Too many", f"there are {ENDPOINTS_MAX} endpoints already")
    endpoint_id, now_ms = f"ep_{uuid7().hex}", _now_ms()
    secrets = EndpointSecrets(headers=headers, secret=new_secret(config.signing))
    row = EndpointRow(
        endpoint_id,
        "active",
        None,
        config.model_dump_json(),
        sealed_secrets(resources.seal, endpoint_id, secrets),
        1,
        now_ms,
        now_ms,
        None,
        None,
    )
    await resources.store.outbox.add_endpoint(row)
    resources.wake_deliveries()
    record = _record(resources, row, {}) | _revealed(secrets)
    return answer(record, 201, {"Location": f"/api/v1/endpoints/{endpoint_id}"})


async def change_endpoint(request: Request) -> Response:
    """Change what is given of one; `state` pauses it, or makes it active again."""
    Parameters(request, ())
    resources = resources_of(request)
    row = await endpoint_of(request)
    _refuse_command(row)
    body = await json_object(request, BODY_BYTES_MAX) or {}
    sealed = row.secrets
    if "headers" in body:
        secrets = opened_secrets(resources.seal, row)
        headers = _headers(_with_kept(body.pop("headers"), secrets.headers))
        secrets = secrets.model_copy(update={"headers": headers})
        sealed = sealed_secrets(resources.seal, row.endpoint_id, secrets)
    state = body.pop("state", row.state)
    if state not in STATES and state != row.state:
        raise ProblemError(400, "Bad body", f"state: must be one of {', '.join(STATES)}",
                           pointer="#/state")  # fmt: skip
    before = read_config(row.config)
    config = _checked(resources, before.model_dump() | body)
    if config.signing != before.signing:
        raise ProblemError(
            400,
            "Bad body",
            "signing: another scheme needs another secret: POST …/rotate-secret with"
            f' {{"signing": "{config.signing}"}}',
            pointer="#/signing",
        )
    is_revived = state == "active" and row.state != "active"
    await _keep(
        request,
        row._replace(
            state=state,
            reason=row.reason if state == "disabled" else None,
            config=config.model_dump_json(),
            secrets=sealed,
            failing_since_ms=None if is_revived else row.failing_since_ms,
        ),
    )
    return await _shown(request, await endpoint_of(request), must_open=False)


async def delete_endpoint(request: Request) -> Response:
    """Drop one, with all that is recorded of its deliveries."""
    Parameters(request, ())
    resources = resources_of(request)
    row = await endpoint_of(request)
    _refuse_command(row)
    await resources.store.outbox.remove_endpoint(row.endpoint_id)
    resources.wake_deliveries()
    return Response(status_code=204)


async def rotate_secret(request: Request) -> Response:
    """Give one a new secret; the old one signs too for a day.

    One whose secrets cannot be read any more, its headers among them, begins anew.
    """
    Parameters(request, ())
    resources = resources_of(request)
    row = await endpoint_of(request)
    _refuse_command(row)
    body = await json_object(request, BODY_BYTES_MAX) or {}
    before = read_config(row.config)
    config = _checked(resources, before.model_dump() | {"signing": before.signing} | body)
    if config.model_copy(update={"signing": before.signing}) != before:
        raise ProblemError(400, "Bad body", "only `signing` can be changed here")
    now_ms = _now_ms()
    secrets, until = EndpointSecrets(secret=new_secret(config.signing)), None
    with contextlib.suppress(SealError):
        old = opened_secrets(resources.seal, row)
        until = now_ms + ROTATION_MS
        secrets = secrets.model_copy(
            update={
                "headers": old.headers,
                "previous": old.secret,
                "previous_until_ms": until,
            }
        )
    await _keep(
        request,
        row._replace(
            config=config.model_dump_json(),
            secrets=sealed_secrets(resources.seal, row.endpoint_id, secrets),
        ),
    )
    overlap = {"previous_secret_signs_until": time_of(until)}
    return answer({"id": row.endpoint_id} | _revealed(secrets) | overlap)


async def test_endpoint(request: Request) -> Response:
    """Send it a test event. Raises a 409 unless it is active."""
    Parameters(request, ())
    resources = resources_of(request)
    row = await endpoint_of(request)
    if row.state != "active":
        raise ProblemError(
            409, "Not active", f'the endpoint is {row.state}: PATCH it to {{"state": "active"}}'
        )
    delivery_id = await resources.store.outbox.add_test(
        row.endpoint_id, f"evt_test_{token_hex(8)}", TEST, _now_ms()
    )
    resources.wake_deliveries()
    location = f"/api/v1/deliveries/{delivery_id}"
    return answer({"delivery_id": delivery_id}, 202, {"Location": location})


async def endpoint_of(request: Request) -> EndpointRow:
    """The endpoint that the path names. Raises a 404."""
    return await endpoint_by_id(resources_of(request), request.path_params["endpoint_id"])


async def endpoint_by_id(resources: Resources, endpoint_id: str) -> EndpointRow:
    """The endpoint with this id. Raises a 404."""
    for row in await resources.store.outbox.endpoints():
        if row.endpoint_id == endpoint_id:
            return row
    raise not_found(f"endpoint {endpoint_id}")


# ------------------------------------------------------------------ in and out


async def _keep(request: Request, row: EndpointRow) -> None:
    resources = resources_of(request)
    if not await resources.store.outbox.change_endpoint(row._replace(updated_ms=_now_ms())):
        raise ProblemError(
            409, "Changed meanwhile", "somebody else changed this endpoint: look again, then change"
        )
    resources.wake_deliveries()


def _checked(resources: Resources, body: dict[str, Json]) -> EndpointConfig:
    config = validated(EndpointConfig, body)
    problem: str | None
    if config.is_mail and not resources.has_mail:
        problem = "no mail server is set: COLLECTOR_SMTP_URL and COLLECTOR_SMTP_FROM name one"
    elif config.is_mail:
        problem = check_recipient(config.url.removeprefix("mailto:"))
    else:
        problem = check_url(config.url, allow_plain=resources.allows_plain_urls)
    if problem is not None:
        raise ProblemError(400, "Bad body", f"url: {problem}", pointer="#/url")
    return config


def _with_kept(given: Json, kept: dict[str, str]) -> Json:
    """Headers as they were given, and values that came as they are shown as they were."""
    if not isinstance(given, dict):
        return given
    return {
        name: kept.get(name, value) if value == NOT_SHOWN else value
        for name, value in given.items()
    }


def _headers(given: Json) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(isinstance(one, str) for one in given.values()):
        raise ProblemError(400, "Bad body", "headers: must be an object of texts",
                           pointer="#/headers")  # fmt: skip
    if problem := check_headers(given):
        raise ProblemError(400, "Bad body", f"headers: {problem}", pointer="#/headers")
    return given


def _refuse_command(row: EndpointRow) -> None:
    if read_config(row.config).url == COMMAND_URL:
        raise ProblemError(
            409,
            "Not to be changed here",
            "this endpoint stands for COLLECTOR_ON_COMPLETED_COMMAND: change that, and start again",
        )


async def _shown(request: Request, row: EndpointRow, *, must_open: bool) -> Response:
    resources = resources_of(request)
    pending = await resources.reader.pending_deliveries()
    return answer(_record(resources, row, pending, must_open=must_open))


def _record(
    resources: Resources, row: EndpointRow, pending: dict[str, int], *, must_open: bool = True
) -> Record:
    """An endpoint without its secrets: of headers, only the names are shown.

    If its secrets cannot be read it raises SealError, or without `must_open` shows none of them.
    """
    config = read_config(row.config)
    try:
        secrets = opened_secrets(resources.seal, row)
        shown = {
            "headers": dict.fromkeys(sorted(secrets.headers), NOT_SHOWN),
            "public_key": public_key(secrets.secret),
        }
    except SealError:
        if must_open:
            raise
        shown = {"headers": {}, "public_key": None}
    return {
        "id": row.endpoint_id,
        "state": row.state,
        "disabled_reason": row.reason,
        **config.model_dump(),
        **shown,
        "deliveries_pending": pending.get(row.endpoint_id, 0),
        "failing_since": time_of(row.failing_since_ms),
        "last_delivered_at": time_of(row.delivered_ms),
        "created_at": timestamp(row.created_ms),
        "updated_at": timestamp(row.updated_ms),
    }


def _revealed(secrets: EndpointSecrets) -> Record:
    """What is told once: a secret that is shared; of a private key, only its public half."""
    public = public_key(secrets.secret)
    return {"secret": None if public else secrets.secret, "public_key": public}
