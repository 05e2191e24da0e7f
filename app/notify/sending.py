"""Sends one delivery by the channel of its endpoint: webhook, mail, or a local command."""

import traceback
from collections.abc import Awaitable, Callable, Sequence
from time import time_ns
from urllib.parse import quote

import structlog

from app.canonical import Json
from app.event import TEST
from app.model import timestamp
from app.notify.addressing import Addressing
from app.notify.attempt import Attempt
from app.notify.cloud_event import CONTENT_TYPE, cloud_event
from app.notify.command import LocalCommand
from app.notify.endpoint import EndpointConfig, EndpointSecrets
from app.notify.links import LinkSigner
from app.notify.mail import Mailer
from app.notify.sealing import Seal, SealError
from app.notify.signing import signed_headers
from app.notify.slack import slack_message
from app.notify.webhook import WebhookClient
from app.record import Record, json_value
from app.store.outbox_rows import DueDelivery, EndpointRow
from app.store.protocol import StoreUnavailableError

COMMAND_URL = "command:local"
"""The address of the endpoint that stands for the command of the settings."""

LINK_VALID_S = 3 * 24 * 3600
INLINE_BYTES_MAX = 256 * 1024

ResultsOf = Callable[[str, int], Awaitable[Sequence[Record] | None]]
"""All results of a run; None if they take more bytes than that."""

_CACHE_MAX = 10_000

log = structlog.get_logger("dispatcher")


class PrunedError(Exception):
    """There is a delivery, but its event is gone."""


class Sending:
    """Composes what is sent, anew for each try: signatures and links have a time."""

    def __init__(
        self,
        addressing: Addressing,
        *,
        seal: Seal,
        links: LinkSigner,
        webhooks: WebhookClient,
        mailer: Mailer | None,
        command: LocalCommand | None,
        base_url: str,
        results_of: ResultsOf,
    ) -> None:
        """`base_url`: where this collector is reached; it is also the source of all events."""
        self._addressing = addressing
        self._seal = seal
        self._links = links
        self._webhooks = webhooks
        self._mailer = mailer
        self._command = command
        self._base_url = base_url
        self._results_of = results_of
        self._secrets: dict[tuple[str, int], EndpointSecrets] = {}

    async def send(self, row: EndpointRow, delivery: DueDelivery) -> Attempt:
        """Try to deliver, once. Raises nothing."""
        config = self._addressing.config(row)
        try:
            data = await self._data(config, row, delivery)
            if config.is_mail:
                return await self._mail(config, delivery, data)
            body = self._envelope(delivery, data)
            if config.url == COMMAND_URL:
                return await self._run(delivery, body)
            return await self._post(config, row, delivery, data, body)
        except (PrunedError, SealError, StoreUnavailableError) as error:
            return Attempt(is_delivered=False, took_ms=0, problem=str(error))
        except Exception as error:  # one that raised would be taken for under way for ever
            # Not log.exception, which shows variables: there are secrets in them.
            log.error(  # noqa: TRY400
                "sending failed unexpectedly",
                endpoint_id=row.endpoint_id,
                event_id=delivery.event_id,
                trace=traceback.format_exception(error),
            )
            problem = f"it could not be sent ({type(error).__name__}); the collector's log has more"
            return Attempt(is_delivered=False, took_ms=0, problem=problem)

    # -------------------------------------------------------------- what is sent

    async def _data(
        self, config: EndpointConfig, row: EndpointRow, delivery: DueDelivery
    ) -> dict[str, Json]:
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

    def _envelope(self, delivery: DueDelivery, data: Json) -> bytes:
        one = delivery.event
        return cloud_event(
            event_id=delivery.event_id,
            event_type=delivery.type,
            source=self._base_url,
            subject=one.subject if one else None,
            time_ms=one.time_ms if one else delivery.created_ms,
            data=data,
        )

    # ----------------------------------------------------------------- channels

    async def _post(
        self,
        config: EndpointConfig,
        row: EndpointRow,
        delivery: DueDelivery,
        data: dict[str, Json],
        body: bytes,
    ) -> Attempt:
        secrets = self._opened(row)
        if config.format == "slack":
            link = data.get("results_url") or data.get("run_url")
            body = slack_message(delivery.type, data, link=link)
            headers = {"content-type": "application/json"}
        else:
            headers = {"content-type": CONTENT_TYPE}
        now_ms = time_ns() // 1_000_000
        signing = secrets.signing(now_ms)
        headers |= signed_headers(signing, delivery.event_id, now_ms // 1000, body)
        return await self._webhooks.post(config.url, secrets.headers | headers, body)

    async def _mail(
        self, config: EndpointConfig, delivery: DueDelivery, data: dict[str, Json]
    ) -> Attempt:
        if self._mailer is None:
            problem = "no mail server is set: COLLECTOR_SMTP_URL and COLLECTOR_SMTP_FROM name one"
            return Attempt(is_delivered=False, took_ms=0, problem=problem)
        return await self._mailer.send(
            config.url.removeprefix("mailto:"),
            delivery.event_id,
            delivery.type,
            data,
            link=data.get("results_url") or data.get("run_url"),
        )

    async def _run(self, delivery: DueDelivery, body: bytes) -> Attempt:
        if self._command is None:
            problem = "COLLECTOR_ON_COMPLETED_COMMAND is not set any more"
            return Attempt(is_delivered=False, took_ms=0, problem=problem)
        return await self._command.run(
            body,
            {
                "EDGES_EVENT_TYPE": delivery.type,
                "EDGES_EVENT_ID": delivery.event_id,
                "EDGES_RUN_UID": delivery.run_uid,
            },
        )

    def _opened(self, row: EndpointRow) -> EndpointSecrets:
        key = (row.endpoint_id, row.version)
        if key not in self._secrets:
            if len(self._secrets) >= _CACHE_MAX:
                self._secrets.clear()
            self._secrets[key] = opened_secrets(self._seal, row)
        return self._secrets[key]


def sealed_secrets(seal: Seal, endpoint_id: str, secrets: EndpointSecrets) -> str:
    """As the store keeps them."""
    return seal.seal(secrets.model_dump_json(), endpoint_id)


def opened_secrets(seal: Seal, row: EndpointRow) -> EndpointSecrets:
    """An endpoint's secrets. Raises SealError."""
    return EndpointSecrets.model_validate_json(seal.open(row.secrets, row.endpoint_id))
