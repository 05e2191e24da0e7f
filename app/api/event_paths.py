"""The OpenAPI document's part about events, endpoints and deliveries."""

from typing import Any

from pydantic import BaseModel

from app.api import deliveries, event_schema, events
from app.api.operations import READ_PROBLEMS, json_answer, operation, problems, read

MODELS: tuple[type[BaseModel], ...] = (
    event_schema.EventPage,
    event_schema.Event,
    event_schema.EndpointPage,
    event_schema.Endpoint,
    event_schema.CreatedEndpoint,
    event_schema.NewEndpoint,
    event_schema.EndpointChange,
    event_schema.NewSecret,
    event_schema.SentTest,
    event_schema.Redelivery,
    event_schema.Redelivered,
    event_schema.DeliveryPage,
    event_schema.Delivery,
    event_schema.DeliveryDetail,
)

_ENDPOINT = ("endpoint_id",)
_DELIVERY = ("delivery_id",)


def paths() -> dict[str, Any]:
    """By path."""
    endpoint = "/api/v1/endpoints/{endpoint_id}"
    delivery = "/api/v1/deliveries/{delivery_id}"
    return {
        "/api/v1/events": {"get": _events()},
        "/api/v1/events/{event_id}": {
            "get": read("getEvent", "An event", "Event", path=("event_id",))
        },
        "/api/v1/endpoints": {
            "get": read("listEndpoints", "Where events go", "EndpointPage"),
            "post": _change(
                "createEndpoint",
                "Send events to another address",
                "NewEndpoint",
                {"201": json_answer("CreatedEndpoint", "Made; its secret is shown here only.")},
                path=(),
            ),
        },
        endpoint: {
            "get": read("getEndpoint", "An endpoint", "Endpoint", path=_ENDPOINT),
            "patch": _change(
                "changeEndpoint",
                "Change, pause or revive an endpoint",
                "EndpointChange",
                {"200": json_answer("Endpoint", "As it is then.")},
            ),
            "delete": _change(
                "deleteEndpoint",
                "Drop an endpoint and its deliveries",
                None,
                {"204": {"description": "Gone."}},
            ),
        },
        f"{endpoint}/test": {
            "post": _change(
                "testEndpoint",
                "Send a test event",
                None,
                {"202": json_answer("SentTest", "On its way.")},
            )
        },
        f"{endpoint}/rotate-secret": {
            "post": _change(
                "rotateSecret",
                "Give an endpoint a new secret; the old one signs too for 24 hours",
                None,
                {"200": json_answer("NewSecret", "The new secret.")},
            )
        },
        f"{endpoint}/deliveries": {
            "get": read(
                "listEndpointDeliveries",
                "What was sent to an endpoint, newest first",
                "DeliveryPage",
                deliveries.ENDPOINT_PARAMETERS,
                path=_ENDPOINT,
            )
        },
        f"{endpoint}/redeliver": {
            "post": _change(
                "redeliverMany",
                "Deliver again what failed since a time, or all of a run",
                "Redelivery",
                {"202": json_answer("Redelivered", "On their way.")},
            )
        },
        "/api/v1/deliveries": {
            "get": read(
                "listDeliveries",
                "What was sent to all endpoints, newest first",
                "DeliveryPage",
                deliveries.LIST_PARAMETERS,
            )
        },
        delivery: {
            "get": read("getDelivery", "A delivery", "DeliveryDetail", path=_DELIVERY),
        },
        f"{delivery}/body": {
            "get": read(
                "getDeliveryBody",
                "The body as the next try would send it",
                None,
                path=_DELIVERY,
            )
        },
        f"{delivery}/redeliver": {
            "post": _change(
                "redeliver",
                "Deliver once more",
                None,
                {"202": json_answer("Delivery", "On its way.")},
                path=_DELIVERY,
            )
        },
    }


def _events() -> dict[str, Any]:
    found = read(
        "listEvents",
        "What happened, in order; live, where `Accept: text/event-stream` asks for it",
        "EventPage",
        events.LIST_PARAMETERS,
    )
    found["parameters"].append(
        {
            "name": "Last-Event-ID",
            "in": "header",
            "schema": {"type": "string"},
            "description": "Of a live stream: go on behind this event.",
        }
    )
    found["responses"]["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    return found


def _change(
    name: str,
    summary: str,
    body: str | None,
    answers: dict[str, Any],
    path: tuple[str, ...] = _ENDPOINT,
) -> dict[str, Any]:
    found = operation(name, summary, path)
    if body is not None:
        reference = {"schema": {"$ref": f"#/components/schemas/{body}"}}
        found["requestBody"] = {"required": True, "content": {"application/json": reference}}
    return {
        **found,
        "responses": {
            **answers,
            **READ_PROBLEMS,
            **problems(
                {
                    "409": "Not as the endpoint stands; `detail` says why.",
                    "413": "The body is too large.",
                }
            ),
        },
    }
