"""Callbacks as the tests send them."""

import json
import uuid
from typing import Any

RUN = "6f9c2f9a-8f0e-4f6b-9a53-0c8f3f8d1a01"


def new_run() -> str:
    """A run uid of one's own, for tests that share a server."""
    return str(uuid.uuid4())


def callback(
    ref: str | None = "c1",
    *,
    run: str = RUN,
    batch: str | None = "b1",
    status: str | None = "RUNNING",
    row: str | None = "row-1",
    results: Any = ({"linkedin_profile_id": 1, "full_name": "Zoë"},),
    error: Any = None,
    **more: Any,
) -> dict[str, Any]:
    """A callback's body as a dict; what is None is left out."""
    body: dict[str, Any] = {"run": {"run_uid": run}}
    if batch is not None:
        body["run"]["batch_uid"] = batch
    if status is not None:
        body["run"]["status"] = status
    if ref is not None:
        body["callback_ref_uid"] = ref
    if row is not None:
        body["input"] = {"linkedin_profile_url": f"https://www.linkedin.com/in/{row}"}
        body["custom_data"] = {"row_id": row, "list": "leads"}
    if results is not None:
        body["results"] = list(results) if isinstance(results, tuple) else results
    if error is not None:
        body["error"] = error
    return body | more


def encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def sent(ref: str | None = "c1", **options: Any) -> bytes:
    """The bytes of `callback(…)`."""
    return encoded(callback(ref, **options))
