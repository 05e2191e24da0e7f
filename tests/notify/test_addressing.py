"""Which events go where, also to endpoints that another version wrote."""

import json
from typing import Any

import pytest

from app.event import Event, event
from app.notify.addressing import Addressing
from app.store.outbox_rows import EndpointRow

pytestmark = pytest.mark.anyio


def row(endpoint_id: str, **config: Any) -> EndpointRow:
    text = json.dumps({"url": "https://example.com", "event_types": ["*"], **config})
    return EndpointRow(endpoint_id, "active", None, text, "", 1, 0, 0, None, None)


def of_run(kind: str, data: Any = None, **facts: Any) -> Event:
    return event(kind, "", time_ms=0, data=data or {}, run_uid="a-run", **facts)


async def knows_sales(run_uid: str, custom: tuple[tuple[str, str], ...]) -> bool:
    return run_uid == "a-run" and custom == (("team", "sales"),)


async def to(one: Event, *rows: EndpointRow) -> list[str]:
    (found,) = await Addressing(knows_sales).addressed([one], rows)
    return found


async def test_types_and_filters_choose() -> None:
    rows = (
        row("all"),
        row("ends", event_types=["run.succeeded", "run.failed"]),
        row("other", event_types=["run.failed"]),
        row("action", filters={"action_name": "an-action"}),
        row("schedule", filters={"action_name": "an-action", "scheduled_run_uid": "s"}),
        row("sales", filters={"custom_data.team": "sales"}),
        row("hr", filters={"custom_data.team": "hr"}),
    )
    one = of_run("run.succeeded", action_name="an-action")
    assert await to(one, *rows) == ["all", "ends", "action", "sales"]
    assert await to(of_run("run.started"), *rows) == ["all", "sales"]


async def test_a_failed_input_is_chosen_by_its_own_custom_data() -> None:
    data = {"input": {"custom_data": {"team": "hr", "deep": {"id": 7}}}}
    rows = (
        row("hr", filters={"custom_data.team": "hr", "custom_data.deep.id": "7"}),
        row("sales", filters={"custom_data.team": "sales"}),
    )
    assert await to(of_run("input.failed", data), *rows) == ["hr"]


async def test_what_a_newer_version_added_stands_in_nobodys_way() -> None:
    rows = (
        row("newer", event_types=["run.succeeded", "run.of-tomorrow"], colour="green"),
        row("unreadable", payload="of-tomorrow"),
        row("for others", event_types=["run.of-tomorrow"]),
        row("usual"),
    )
    assert await to(of_run("run.succeeded"), *rows) == ["newer", "usual"]
