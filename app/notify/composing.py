"""Composes what is sent of an event, anew for each try: links in it have a time."""

from collections.abc import Awaitable, Callable, Sequence
from time import time_ns
from typing import NamedTuple
from urllib.parse import quote

from app.canonical import Json
from app.event import TEST
from app.model import timestamp
from app.notify.addressing import Addressing
from app.notify.cloud_event import CONTENT_TYPE, cloud_event
from app.notify.endpoint import EndpointConfig
from app.notify.links import LinkSigner
from app.notify.mail import Mailer
from app.notify.slack import slack_message
from app.record import Record, json_value
from app.store.outbox_rows import DueDelivery, EndpointRow

LINK_VALID_S = 3 * 24 * 3600
INLINE_BYTES_MAX = 256 * 1024

ResultsOf = Callable[[str, int], Awaitable[Sequence[Record] | None]]
"""All results of a run; None if they take more bytes than that."""


class PrunedError(Exception):
    """There is a delivery, but its event is gone."""


class Composed(NamedTuple):
    """A body."""

    content_type: str
    body: bytes


class Composing:
    """Knows what an endpoint wants of an event."""

    def __init__(
        self,
        addressing: Addressing,
        *,
        links: LinkSigner,
        mailer: Mailer | None,
        base_url: str,
        results_of: ResultsOf,
    ) -> None:
        """`base_url`: where this collector is reached; it is also the source of all events."""
        self._addressing = addressing
        self._links = links
        self._mailer = mailer
        self._base_url = base_url
        self._results_of = results_of

    def config(self, row: EndpointRow) -> EndpointConfig:
        """How an endpoint is set."""
        return self._addressing.config(row)

    async def composed(self, row: EndpointRow, delivery: DueDelivery) -> Composed:
        """What is sent of a delivery. Raises PrunedError, or what reading results raises."""
        config = self.config(row)
        data = await self.data(config, row, delivery)
        if config.is_mail and self._mailer is not None:
            recipient, link = config.url.removeprefix("mailto:"), link_of(data)
            message = self._mailer.written(
                recipient, delivery.event_id, delivery.type, data, link=link
            )
            return Composed("message/rfc822", message)
        return self.body(config, delivery, data)

    def body(
        self, config: EndpointConfig, delivery: DueDelivery, data: dict[str, Json]
    ) -> Composed:
        """The body of a POST, with this `data`."""
        if config.format == "slack":
            message = slack_message(delivery.type, data, link=link_of(data))
            return Composed("application/json", message)
        return Composed(CONTENT_TYPE, self.envelope(delivery, data))

    async def data(
        self, config: EndpointConfig, row: EndpointRow, delivery: DueDelivery
    ) -> dict[str, Json]:
        """What an endpoint is told. Raises PrunedError, or what reading results raises."""
        if delivery.event is None and delivery.type != TEST:
            raise PrunedError("its event is kept no more: nothing can be sent of it")
        if delivery.event is None:
            return {
                "endpoint_id": row.endpoint_id,
                "message": "This is a test: events will look like this one, and say more.",
            }
        data: dict[str, Json] = json_value(delivery.event.data)
        run_uid = delivery.event.run_uid
        if not run_uid:
            return data
        data["run_url"] = self._base_url + quote(f"/api/v1/runs/{run_uid}")
        if config.payload == "results-inline":
            results = await self._results_of(run_uid, INLINE_BYTES_MAX)
            if results is not None:
                return data | {"results": list(results)}
        if config.payload != "run":
            data |= self._results_link(run_uid)
        return data

    def _results_link(self, run_uid: str) -> Record:
        path = f"/api/v1/runs/{run_uid}/results"  # signed as it is, sent with escapes
        expires_s = time_ns() // 1_000_000_000 + LINK_VALID_S
        return {
            "results_url": f"{self._base_url}{quote(path)}?format=ndjson&"
            + self._links.query(path, expires_s),
            "results_url_expires_at": timestamp(expires_s * 1000),
        }

    def envelope(self, delivery: DueDelivery, data: Json) -> bytes:
        """The CloudEvents envelope around `data`."""
        one = delivery.event
        return cloud_event(
            event_id=delivery.event_id,
            event_type=delivery.type,
            source=self._base_url,
            subject=one.subject if one else None,
            time_ms=one.time_ms if one else delivery.created_ms,
            data=data,
        )


def link_of(data: dict[str, Json]) -> str | None:
    """Where there is more to see: the results if there is a link to them, else the run."""
    link: str | None = data.get("results_url") or data.get("run_url")
    return link
