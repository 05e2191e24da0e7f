"""Everything that tells of events, as the settings want it."""

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from time import time_ns

import structlog

from app import observe
from app.event import EventType
from app.notify.addressing import Addressing
from app.notify.command import LocalCommand
from app.notify.composing import Composing, ResultsOf
from app.notify.dispatcher import Dispatcher
from app.notify.endpoint import EndpointConfig, EndpointSecrets
from app.notify.links import LinkSigner
from app.notify.live import LiveEvents
from app.notify.mail import Mailer
from app.notify.perpetual import in_background
from app.notify.pruning import Pruning
from app.notify.relay import Relay
from app.notify.sealing import Seal, SealError
from app.notify.sending import COMMAND_URL, Sending, sealed_secrets
from app.notify.signing import new_secret
from app.notify.webhook import WebhookClient
from app.settings import Settings
from app.store.outbox import Relayed
from app.store.outbox_rows import EndpointRow
from app.store.protocol import Store
from app.store.views import RunFilter

COMMAND_ID = "on-completed-command"

log = structlog.get_logger("service")


class Notifying:
    """Relay, dispatcher and live events of one service."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        seal: Seal,
        links: LinkSigner,
        base_url: str,
        results_of: ResultsOf,
    ) -> None:
        """Raises ValueError that names the setting which cannot be used."""
        self._settings = settings
        self._store = store
        self._seal = seal
        self.addressing = Addressing(self._has_input)
        self.live = LiveEvents(store.reader)
        self._relay = Relay(store.outbox, self.addressing, self._relayed)
        self._dispatcher: Dispatcher | None = None
        self._mailer = _mailer(settings)
        self.composing = Composing(
            self.addressing,
            links=links,
            mailer=self._mailer,
            base_url=base_url,
            results_of=results_of,
        )
        self._command = _command(settings)

    async def _has_input(self, run_uid: str, custom: tuple[tuple[str, str], ...]) -> bool:
        chosen = RunFilter(run_uids=(run_uid,), custom=custom)
        return bool(await self._store.reader.runs(chosen, sort="created", after=None, limit=1))

    # ----------------------------------------------------------------- wake-ups

    def raised(self) -> None:
        """Events were raised in this process, or by its worker."""
        self._relay.wake()

    def told(self) -> None:
        """Another replica took events over, or changed endpoints."""
        self.live.wake()
        self.wake_deliveries()

    def wake_deliveries(self, endpoint_ids: Collection[str] | None = None) -> None:
        """Endpoints changed, or something is to be delivered."""
        if self._dispatcher is not None:
            self._dispatcher.wake(endpoint_ids)

    def _relayed(self, relayed: Relayed) -> None:
        for one in relayed.events:
            observe.EVENTS.labels(one.event.type).inc()
        self.live.wake()
        if relayed.endpoint_ids:
            self.wake_deliveries(relayed.endpoint_ids)

    # --------------------------------------------------------------------- life

    @asynccontextmanager
    async def running(self, *, is_delivering: bool) -> AsyncIterator[None]:
        """Everything at work; without `is_delivering` only live events.

        Raises ValueError for a mail server, a sender or a command that can be none.
        """
        async with AsyncExitStack() as stack:
            if is_delivering:
                await self._deliver(stack)
            await stack.enter_async_context(in_background("live events", self.live.run))
            stack.callback(self.live.close)
            yield

    async def _deliver(self, stack: AsyncExitStack) -> None:
        settings, outbox = self._settings, self._store.outbox
        webhooks = WebhookClient(
            allow_private=settings.allow_private_endpoints,
            allowed_networks=settings.allowed_endpoint_networks,
            timeout_s=settings.delivery_timeout_s,
        )
        stack.push_async_callback(webhooks.close)
        dispatcher = Dispatcher(
            outbox,
            self.addressing,
            self._sending(webhooks).send,
            pauses_s=settings.delivery_pauses_s,
            disable_after_s=settings.disable_endpoint_after_s,
            timeout_s=settings.delivery_timeout_s,
        )
        await self._reseal()
        await self._keep_command()
        self._dispatcher = dispatcher
        pruning = Pruning(self._store, settings.event_retention_days)
        await stack.enter_async_context(in_background("pruning", pruning.run))
        await stack.enter_async_context(in_background("dispatcher", dispatcher.run))
        await stack.enter_async_context(in_background("relay", self._relay.run))

    def _sending(self, webhooks: WebhookClient) -> Sending:
        return Sending(
            self.composing,
            seal=self._seal,
            webhooks=webhooks,
            mailer=self._mailer,
            command=self._command,
        )

    async def _reseal(self) -> None:
        """Seal anew what an earlier secret key sealed, so that it can be given up."""
        for row in await self._store.outbox.endpoints():
            if self._seal.is_current(row.secrets):
                continue
            try:
                plain = self._seal.open(row.secrets, row.endpoint_id)
            except SealError as error:
                log.error(  # noqa: TRY400 - the message says it all
                    "an endpoint's secrets cannot be read",
                    endpoint_id=row.endpoint_id,
                    reason=str(error),
                )
                continue
            sealed = self._seal.seal(plain, row.endpoint_id)
            await self._store.outbox.change_endpoint(row._replace(secrets=sealed))
            log.info("secrets sealed anew", endpoint_id=row.endpoint_id)

    async def _keep_command(self) -> None:
        """An endpoint that stands for the local command, as long as there is one."""
        outbox = self._store.outbox
        known = {row.endpoint_id: row for row in await outbox.endpoints()}.get(COMMAND_ID)
        if self._settings.on_completed_command is None:
            if known is not None:
                await outbox.remove_endpoint(COMMAND_ID)
            return
        if known is not None:
            if known.state != "active":  # the API does not change it, so that a start has to
                await outbox.change_endpoint(
                    known._replace(state="active", reason=None, failing_since_ms=None)
                )
            return
        config = EndpointConfig(
            url=COMMAND_URL,
            event_types=[EventType.RUN_COMPLETED],
            description="COLLECTOR_ON_COMPLETED_COMMAND",
            concurrency=1,
        )
        now_ms = time_ns() // 1_000_000
        secrets = EndpointSecrets(secret=new_secret("v1"))
        await outbox.add_endpoint(
            EndpointRow(
                COMMAND_ID,
                "active",
                None,
                config.model_dump_json(),
                sealed_secrets(self._seal, COMMAND_ID, secrets),
                1,
                now_ms,
                now_ms,
                None,
                None,
            )
        )


def _mailer(settings: Settings) -> Mailer | None:
    if settings.smtp_url is None:
        return None
    url = settings.smtp_url.get_secret_value()
    try:
        return Mailer(url, settings.smtp_from, timeout_s=settings.delivery_timeout_s)
    except ValueError as error:
        raise ValueError(f"COLLECTOR_SMTP_URL or COLLECTOR_SMTP_FROM: {error}") from None


def _command(settings: Settings) -> LocalCommand | None:
    if settings.on_completed_command is None:
        return None
    try:
        return LocalCommand(settings.on_completed_command, settings.on_completed_timeout_s)
    except ValueError as error:
        raise ValueError(f"COLLECTOR_ON_COMPLETED_COMMAND: {error}") from None
