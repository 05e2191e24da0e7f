"""The form of an endpoint, without a browser."""

from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from app.api.endpoints import NOT_SHOWN
from app.dashboard.endpoint_form import (
    EndpointForm,
    FieldProblem,
    Pair,
    body_of,
    field_problem,
    form_of_endpoint,
    problem_of,
    read_form,
)
from app.dashboard.event_words import WORDS
from app.event import EventType
from app.notify.endpoint import EndpointConfig

BODIES: list[dict[str, Any]] = [
    {"url": "https://example.com/", "event_types": ["*"]},
    {
        "url": "https://example.com/a?b=c",
        "event_types": ["input.failed", "run.completed"],
        "filters": {"action_name": "a", "custom_data.owner.id": "7", "custom_data.x": ""},
        "payload": "results-inline",
        "signing": "v1a",
        "ordered": True,
        "concurrency": 2,
        "rate_per_s": 0.5,
        "description": "what it is",
    },
    {"url": "https://hooks.example.com/", "event_types": ["run.failed"], "format": "slack"},
    {"url": "mailto:ops@example.com", "event_types": ["run.failed"]},
]


def fields(form: EndpointForm) -> list[tuple[str, str]]:
    """What a browser sends of a form."""
    plain = form._asdict()
    sent = [(name, str(plain[name])) for name in ("kind", "url", "mailbox", "description")]
    sent += [(name, str(plain[name])) for name in ("action_name", "scheduled_run_uid", "payload")]
    sent += [(name, str(plain[name])) for name in ("rate_per_s", "concurrency", "signing")]
    sent += [("event_types", one) for one in form.event_types]
    sent += [("everything", "true")] if form.is_everything else []
    sent += [("ordered", "true")] if form.is_ordered else []
    for pair in form.rows("custom"):
        sent += [("custom_name", pair.name), ("custom_value", pair.value)]
    for pair in form.rows("headers"):
        sent += [("header_name", pair.name), ("header_value", pair.value)]
    return parse_qsl(urlencode(sent), keep_blank_values=True)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body["url"])
def test_an_endpoint_goes_through_the_form_unchanged(body: dict[str, Any]) -> None:
    config = EndpointConfig.model_validate(body)
    form = form_of_endpoint({**config.model_dump(), "headers": {}})
    again = read_form(fields(form))
    assert problem_of(again) is None
    sent = body_of(again, is_new=True)
    assert sent.pop("headers") == {}
    assert EndpointConfig.model_validate(sent) == config
    assert "signing" not in body_of(again, is_new=False)


def test_a_header_is_kept_changed_added_or_taken_away() -> None:
    shown = {**EndpointConfig.model_validate(BODIES[0]).model_dump()}
    kept = ("X-Kept", "X-Changed", "X-Gone")
    form = form_of_endpoint({**shown, "headers": dict.fromkeys(kept, NOT_SHOWN)})
    assert [pair.value for pair in form.headers] == ["", "", ""]
    rows = (Pair("X-Kept", ""), Pair("X-Changed", "new"), Pair("", ""), Pair("X-Added", "a"))
    again = read_form(fields(form._replace(headers=rows)), kept)
    headers = body_of(again, is_new=False)["headers"]
    assert headers == {"X-Kept": NOT_SHOWN, "X-Changed": "new", "X-Added": "a"}


@pytest.mark.parametrize(
    ("detail", "pointer", "said"),
    [
        ("url: it is none", "#/url", FieldProblem("url", "it is none")),
        ("event_types.0: unknown", "#/event_types/0", FieldProblem("event_types", "unknown")),
        ("x: odd", "#/filters", FieldProblem("filters", "x: odd")),
        ("there are 1000 already", "", FieldProblem("", "there are 1000 already")),
        ("the object: mail has its own", "#", FieldProblem("", "the object: mail has its own")),
    ],
)
def test_a_refusal_stands_beside_the_field_that_it_points_at(
    detail: str, pointer: str, said: FieldProblem
) -> None:
    assert field_problem(detail, pointer) == said


def test_every_type_of_event_is_explained() -> None:
    assert set(WORDS) == set(EventType)
