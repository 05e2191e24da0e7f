"""The form of an endpoint: from what the API says to fields, and back to what it takes."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from app.api.endpoints import NOT_SHOWN
from app.event import EventType
from app.notify.endpoint import CUSTOM, EVERYTHING

KINDS = ("webhook", "slack", "mailbox")
MAILTO = "mailto:"
ROWS_FREE = 2
"""Empty rows behind those that are filled, of filters and of headers."""

MORE = "more"
"""The button that asks for more empty rows; its value says of what."""

MORE_ROWS = 4


class Pair(NamedTuple):
    """A row with a name and a value."""

    name: str
    value: str


class FieldProblem(NamedTuple):
    """What is wrong, and with which field; with the whole form if that is empty."""

    field: str
    text: str


class EndpointForm(NamedTuple):
    """What stands in the fields."""

    kind: str = "webhook"
    url: str = ""
    mailbox: str = ""
    description: str = ""
    is_everything: bool = False
    event_types: frozenset[str] = frozenset()
    action_name: str = ""
    scheduled_run_uid: str = ""
    custom: tuple[Pair, ...] = ()
    headers: tuple[Pair, ...] = ()
    kept_headers: frozenset[str] = frozenset()
    """Those that the endpoint has: an empty value leaves them as they are."""
    payload: str = "run"
    rate_per_s: str = ""
    concurrency: str = "4"
    is_ordered: bool = False
    signing: str = "v1"
    more: str = ""
    """Of what more rows were asked for."""

    def rows(self, name: str) -> list[Pair]:
        """The rows of `custom` or `headers`, with some that are empty."""
        filled: tuple[Pair, ...] = getattr(self, name)
        free = MORE_ROWS if self.more == name else ROWS_FREE
        return [*filled, *[Pair("", "")] * free]


def empty_form() -> EndpointForm:
    """As a new endpoint begins: told when a run is complete, or cannot be."""
    chosen = (EventType.RUN_COMPLETED, EventType.RUN_INCOMPLETE, EventType.RUN_FAILED)
    return EndpointForm(event_types=frozenset(chosen))


def form_of_endpoint(endpoint: Mapping[str, Any]) -> EndpointForm:
    """The fields of an endpoint of the API."""
    url: str = endpoint["url"]
    is_mail = url.startswith(MAILTO)
    filters: dict[str, str] = endpoint["filters"]
    types = set(endpoint["event_types"])
    rate = endpoint["rate_per_s"]
    return EndpointForm(
        kind="mailbox" if is_mail else "slack" if endpoint["format"] == "slack" else "webhook",
        url="" if is_mail else url,
        mailbox=url.removeprefix(MAILTO) if is_mail else "",
        description=endpoint["description"],
        is_everything=EVERYTHING in types,
        event_types=frozenset(types - {EVERYTHING}),
        action_name=filters.get("action_name", ""),
        scheduled_run_uid=filters.get("scheduled_run_uid", ""),
        custom=tuple(
            Pair(name.removeprefix(CUSTOM), value)
            for name, value in filters.items()
            if name.startswith(CUSTOM)
        ),
        headers=tuple(Pair(name, "") for name in endpoint["headers"]),
        kept_headers=frozenset(endpoint["headers"]),
        payload=endpoint["payload"],
        rate_per_s="" if rate is None else f"{rate:g}",
        concurrency=str(endpoint["concurrency"]),
        is_ordered=endpoint["ordered"],
        signing=endpoint["signing"],
    )


def read_form(pairs: Iterable[tuple[str, str]], kept_headers: Iterable[str] = ()) -> EndpointForm:
    """The fields as they were sent."""
    sent = list(pairs)
    one = dict(sent)
    kind = one.get("kind", "webhook")
    return EndpointForm(
        kind=kind if kind in KINDS else "webhook",
        url=one.get("url", "").strip(),
        mailbox=one.get("mailbox", "").strip().removeprefix(MAILTO),
        description=one.get("description", "").strip(),
        is_everything="everything" in one,
        event_types=frozenset(value for name, value in sent if name == "event_types"),
        action_name=one.get("action_name", "").strip(),
        scheduled_run_uid=one.get("scheduled_run_uid", "").strip(),
        custom=_pairs(sent, "custom"),
        headers=_pairs(sent, "header"),
        kept_headers=frozenset(kept_headers),
        payload=one.get("payload", "run"),
        rate_per_s=one.get("rate_per_s", "").strip(),
        concurrency=one.get("concurrency", "").strip(),
        is_ordered="ordered" in one,
        signing=one.get("signing", "v1"),
        more=one.get(MORE, ""),
    )


def problem_of(form: EndpointForm) -> FieldProblem | None:
    """What the API could not see, since one member stands for several fields; else None."""
    if not (form.mailbox if form.kind == "mailbox" else form.url):
        return FieldProblem("url", "say where the events are to go")
    if not form.is_everything and not form.event_types:
        return FieldProblem("event_types", "choose at least one, or every event")
    rows = (("filters", form.custom, "path"), ("headers", form.headers, "name"))
    for field, given, called in rows:
        names = [pair.name for pair in given]
        if "" in names:
            value = given[names.index("")].value
            return FieldProblem(field, f"the value {value[:50]!r} has no {called}: give it one")
        if double := next((name for name in names if names.count(name) > 1), None):
            return FieldProblem(field, f"{double[:50]} is there twice: leave one of them")
    return None


def body_of(form: EndpointForm, *, is_new: bool) -> dict[str, Any]:
    """What the API takes for these fields, to make an endpoint or to change one."""
    filters = {
        "action_name": form.action_name,
        "scheduled_run_uid": form.scheduled_run_uid,
    }
    custom = {CUSTOM + pair.name: pair.value for pair in form.custom}
    is_mail = form.kind == "mailbox"
    body: dict[str, Any] = {
        "url": MAILTO + form.mailbox if is_mail else form.url,
        "format": "slack" if form.kind == "slack" else "cloudevents",
        "event_types": [EVERYTHING] if form.is_everything else sorted(form.event_types),
        "filters": {name: value for name, value in filters.items() if value} | custom,
        "headers": {} if is_mail else {pair.name: _value(form, pair) for pair in form.headers},
        "payload": form.payload,
        "ordered": form.is_ordered,
        "rate_per_s": form.rate_per_s or None,
        "concurrency": form.concurrency,
        "description": form.description,
    }
    return body | ({"signing": form.signing} if is_new else {})


def field_problem(detail: str, pointer: str) -> FieldProblem:
    """A refusal of the API, beside the field that it points at."""
    field = pointer.removeprefix("#/").partition("/")[0]
    if not field or field == "#":
        return FieldProblem("", detail)
    name, colon, text = detail.partition(": ")
    is_named = colon and name.partition(".")[0] == field
    return FieldProblem(field, text if is_named else detail)


def _value(form: EndpointForm, pair: Pair) -> str:
    is_kept = not pair.value and pair.name in form.kept_headers
    return NOT_SHOWN if is_kept else pair.value


def _pairs(sent: list[tuple[str, str]], what: str) -> tuple[Pair, ...]:
    """Rows in their order; those without anything are left out."""
    names = [value.strip() for name, value in sent if name == f"{what}_name"]
    values = [value for name, value in sent if name == f"{what}_value"]
    pairs = [Pair(*both) for both in zip(names, values, strict=False)]
    return tuple(pair for pair in pairs if pair.name or pair.value.strip())
