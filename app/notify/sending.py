"""Sends one delivery by the channel of its endpoint: webhook, mail, or a local command."""

import traceback
from time import time_ns

import structlog

from app.canonical import Json
from app.notify.attempt import Attempt
from app.notify.command import LocalCommand
from app.notify.composing import Composed, Composing, PrunedError, link_of
from app.notify.endpoint import EndpointConfig, EndpointSecrets
from app.notify.mail import Mailer
from app.notify.sealing import Seal, SealError
from app.notify.signing import signed_headers
from app.notify.webhook import WebhookClient
from app.store.outbox_rows import DueDelivery, EndpointRow
from app.store.protocol import StoreUnavailableError

COMMAND_URL = "command:local"
"""The address of the endpoint that stands for the command of the settings."""

_CACHE_MAX = 10_000

log = structlog.get_logger("dispatcher")


class Sending:
    """Composes, signs and sends, anew for each try."""

    def __init__(
        self,
        composing: Composing,
        *,
        seal: Seal,
        webhooks: WebhookClient,
        mailer: Mailer | None,
        command: LocalCommand | None,
    ) -> None:
        self._composing = composing
        self._seal = seal
        self._webhooks = webhooks
        self._mailer = mailer
        self._command = command
        self._secrets: dict[tuple[str, int], EndpointSecrets] = {}

    async def send(self, row: EndpointRow, delivery: DueDelivery) -> Attempt:
        """Try to deliver, once. Raises nothing."""
        config = self._composing.config(row)
        try:
            data = await self._composing.data(config, row, delivery)
            if config.is_mail:
                return await self._mail(config, delivery, data)
            if config.url == COMMAND_URL:
                return await self._run(delivery, self._composing.envelope(delivery, data))
            composed = self._composing.body(config, delivery, data)
            return await self._post(config, row, delivery, composed)
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

    # ----------------------------------------------------------------- channels

    async def _post(
        self, config: EndpointConfig, row: EndpointRow, delivery: DueDelivery, composed: Composed
    ) -> Attempt:
        secrets = self._opened(row)
        now_ms = time_ns() // 1_000_000
        signing = secrets.signing(now_ms)
        signed = signed_headers(signing, delivery.event_id, now_ms // 1000, composed.body)
        headers = {**secrets.headers, "content-type": composed.content_type, **signed}
        return await self._webhooks.post(config.url, headers, composed.body)

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
            link=link_of(data),
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
