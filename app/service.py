"""Wiring: the only place that knows every part, and runs them as one service."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from functools import partial
from time import monotonic, time, time_ns
from types import FrameType
from typing import TYPE_CHECKING

import structlog
import uvicorn
from starlette.types import Receive, Scope, Send

from app import __version__, observe
from app.api.access import Keyring
from app.api.application import create_api
from app.api.exports import opened
from app.api.resources import Resources
from app.api.sessions import Sessions
from app.canonical import allow_deep_nesting
from app.dashboard.application import create_dashboard
from app.demo import Demo
from app.erase.expiring import Expiring
from app.erase.sweeping import Sweeping
from app.export.inline import few_results
from app.export.jobs import Exporter, ExportFolder
from app.generated_secrets import (
    ADMIN_KEY_FILE,
    INGEST_TOKEN_FILE,
    SECRET_KEY_FILE,
    Secret,
    kept_secret,
)
from app.log.backpressure import Backpressure
from app.log.group_commit import GroupCommit
from app.memory import spare_the_garbage_collector
from app.model import Outcome, Quarantined
from app.notify.links import LinkSigner
from app.notify.notifying import Notifying
from app.notify.perpetual import in_background
from app.notify.sealing import Seal
from app.receive.endpoint import CallbackEndpoint
from app.receive.short_way import CallbackProtocol
from app.recent import RecentCounts
from app.reconcile.courtesy import Courtesy
from app.reconcile.opened import opened_reconciliation
from app.record import Record
from app.settings import Settings
from app.sinks.standing import ENDED, VERIFIED
from app.sinks.standing_runs import StandingSinks
from app.store.database import store_of
from app.store.protocol import StoreUnavailableError
from app.supervisor import WorkerSupervisor
from app.work_settings import WorkSettings

if TYPE_CHECKING:
    from app.reconcile.opened import Reconciliation

log = structlog.get_logger("service")

KEEP_ALIVE_S = 75
SHUTDOWN_S = 30
BALANCE_S = 0.5


class Collector:
    """One collector: an ASGI application with everything behind it.

    Use `running()` around serving it. Raises OSError if the data folder cannot be used,
    SchemaError if its databases are of a newer version, ValueError for settings that cannot be
    used.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.is_draining = False
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.ingest_token = self._secret(settings.ingest_token, INGEST_TOKEN_FILE)
        self.admin_key = self._secret(settings.admin_key, ADMIN_KEY_FILE)
        self._worker = WorkerSupervisor(WorkSettings.of(settings), on_events=self._events_raised)
        self._store = store_of(settings, on_news=self._worker.wake, on_events=self._events_told)
        self.base_url = str(
            settings.public_url or f"http://{settings.host}:{settings.port}"
        ).rstrip("/")
        secret_key = self._secret(settings.secret_key, SECRET_KEY_FILE).value
        earlier = [one.get_secret_value() for one in settings.previous_secret_keys]
        self._seal = Seal(secret_key, earlier)
        links = LinkSigner(secret_key, earlier)
        self._notifying = Notifying(
            settings,
            self._store,
            seal=self._seal,
            links=links,
            base_url=self.base_url,
            results_of=self._few_results,
        )
        self._sweeping = Sweeping(
            self._store,
            waiting=lambda: self._commits.waiting,
            wake_worker=self._worker.wake,
            drop_files=self._drop_export_files,
        )
        self._sinks = StandingSinks(
            self._store,
            self._seal,
            settings.result_keys,
            # Without a key of the Edges API no run is ever proven to be complete.
            event_types=VERIFIED if settings.edges_api_key else VERIFIED + ENDED,
            folder=settings.sink_dir,
            pauses_s=settings.delivery_pauses_s,
        )
        self._keyring = Keyring(self.admin_key.value, self._store.api_keys)
        self._edges: Reconciliation | None = None
        self.port = settings.port
        """The one that is listened on: where 0 was asked for, known once requests are taken."""
        self._demo = Demo(callback_url=self._callback_url_within, token=self.ingest_token.value)
        self._received = 0
        self._recent = RecentCounts()
        self._started_s = time()
        self._commits = GroupCommit(self._store.append, after_commit=self._after_commit)
        self._export_folder = ExportFolder(settings.export_path)
        sessions = Sessions(self._keyring, secret_key, earlier)
        api = create_api(self._resources(), keyring=self._keyring, links=links, sessions=sessions)
        self._exporter = Exporter(
            self._store.exports,
            self._export_folder,
            partial(opened, api),
            kept_s=settings.export_retention_hours * 3_600,
            give_way=Courtesy(lambda: self._received).give_way,
        )
        self.endpoint = CallbackEndpoint(
            create_dashboard(
                api,
                keyring=self._keyring,
                sessions=sessions,
                watchers=lambda: self._notifying.live.followers,
            ),
            commits=self._commits,
            quarantine=self._quarantine,
            token=self.ingest_token.value,
            body_bytes_max=settings.max_body_bytes,
            is_receiving=settings.role != "work",
        )

    def _secret(self, given: object, name: str) -> Secret:
        value = getattr(given, "get_secret_value", lambda: None)()
        return Secret(value, is_new=False) if value else kept_secret(self.settings.data_dir, name)

    def _callback_url_within(self) -> str:
        """Where this very process takes callbacks, for whoever is on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.settings.host, self.settings.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/callbacks"

    def _resources(self) -> Resources:
        return Resources(
            settings=self.settings,
            store=self._store,
            result_keys=self.settings.result_keys,
            data_dir=self.settings.data_dir,
            store_callback=self._commits.submit,
            waiting=lambda: self._commits.waiting,
            is_draining=lambda: self.is_draining,
            worker_state=lambda: self._worker.state,
            is_projecting=self.settings.role != "receive",
            reconciler=lambda: self._edges and self._edges.reconciler,
            schedule_api=lambda: self._edges and self._edges.client,
            ready_lag_s=self.settings.ready_lag_s,
            base_url=self.base_url,
            seal=self._seal,
            allows_plain_urls=self.settings.allow_private_endpoints,
            has_mail=self.settings.smtp_url is not None,
            live=lambda: self._notifying.live,
            addressed=self._notifying.addressing.addressed,
            compose=self._notifying.composing.composed,
            wake_deliveries=self._wake_deliveries,
            export_folder=self._export_folder,
            wake_exports=self._wake_exports,
            wake_erasing=self._sweeping.wake,
            sink_dir=self.settings.sink_dir,
            wake_sinks=self._sinks.wake,
            keyring=self._keyring,
            ingest_token=self.ingest_token.value,
            demo=self._demo,
            recent=lambda: self._recent.list(monotonic()),
            edges_budget_left=lambda: self._edges.client.budget_left if self._edges else None,
            started_s=self._started_s,
        )

    async def _few_results(self, run_uid: str, bytes_max: int) -> Sequence[Record] | None:
        return await few_results(self._store.reader, run_uid, self.settings.result_keys, bytes_max)

    async def _quarantine(self, item: Quarantined) -> str:
        quarantine_id = await self._store.quarantine(item)
        self._events_raised()
        return quarantine_id

    def _events_raised(self) -> None:
        self._notifying.raised()

    def _events_told(self) -> None:
        self._notifying.told()

    def _wake_deliveries(self) -> None:
        self._notifying.wake_deliveries()

    def _wake_exports(self) -> None:
        self._exporter.wake()

    def end_streams(self) -> None:
        """End what clients follow live: it would keep the server from ending."""
        self._notifying.live.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request. The lifespan is `running()`'s, not the server's."""
        await self.endpoint(scope, receive, send)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything behind the application, from the first request to after the last.

        What was started is ended, in the other order, also if what comes after it fails.
        """
        is_working = self.settings.role != "receive"
        async with contextlib.AsyncExitStack() as stack:
            await self._store.open()
            stack.push_async_callback(self._store.close)
            await self._store.erasures.use_seal(self._seal)
            self._commits.start()
            await stack.enter_async_context(in_background("keys", self._keyring.note_uses))
            if is_working:
                self._worker.start()
            stack.push_async_callback(self._worker.stop)
            stack.push_async_callback(self._commits.stop)
            await stack.enter_async_context(self._notifying.running(is_delivering=is_working))
            if is_working:
                await self._sinks.reseal()
                await stack.enter_async_context(in_background("sinks", self._sinks.run))
            self._edges = await stack.enter_async_context(
                opened_reconciliation(
                    self.settings,
                    self._store,
                    self._commits.submit,
                    received=lambda: self._received,
                )
            )
            await stack.enter_async_context(in_background("backpressure", self._balance))
            if is_working:
                await stack.enter_async_context(in_background("exports", self._exporter.run))
                await self._start_erasing(stack)
            await stack.enter_async_context(in_background("old exports", self._exporter.sweep))
            if self._edges is not None and is_working:
                self._edges.reconciler.start()
                await stack.enter_async_context(in_background("schedules", self._edges.poller.run))
            if self._edges is None and self.settings.on_completed_command is not None:
                log.warning(
                    "COLLECTOR_ON_COMPLETED_COMMAND never runs: without COLLECTOR_EDGES_API_KEY no"
                    " run is proven complete"
                )
            stack.push_async_callback(self._demo.stop)
            log.info(
                "started",
                version=__version__,
                database=self._store.description,
                data_dir=str(self.settings.data_dir),
                reconciliation="off: no COLLECTOR_EDGES_API_KEY, so that runs end unverified"
                if self._edges is None
                else "on",
            )
            yield
        log.info("stopped")

    async def _drop_export_files(self) -> None:
        """All that are kept: nobody knows who is in them. One that is being made is given up."""
        while rows := await self._store.exports.page(before=None, limit=100):
            for row in rows:
                await self._store.exports.remove(row.export_id)
                await asyncio.to_thread(self._export_folder.remove, row.export_id)

    async def _start_erasing(self, stack: contextlib.AsyncExitStack) -> None:
        await stack.enter_async_context(in_background("erasing", self._sweeping.run))
        if self.settings.run_retention_days is not None:
            expiring = Expiring(self._store, self.settings.run_retention_days, self._sweeping.wake)
            await stack.enter_async_context(in_background("expiring", expiring.run))

    async def _balance(self) -> None:
        """Hold back commits while the worker cannot keep up with them."""
        backpressure = Backpressure(self.settings.projection_burst_s)
        while self.settings.role == "all" and not self.settings.projection_paused:
            await asyncio.sleep(BALANCE_S)
            try:
                lag = await self._store.reader.lag(time_ns() // 1_000_000)
            except StoreUnavailableError as error:
                log.warning("the lag is unknown", reason=str(error))
                continue
            is_working, _ = self._worker.state
            share = backpressure.rest_share(lag.age_s, asyncio.get_running_loop().time())
            self._commits.rest_share = share if is_working else 0.0

    async def _after_commit(self, outcomes: Sequence[Outcome]) -> None:
        self._received += len(outcomes)
        self._recent.add(len(outcomes), monotonic())
        observe.COMMITS.inc()
        observe.COMMIT_CALLBACKS.observe(len(outcomes))
        observe.COMMIT_SECONDS.set(self._commits.commit_s)
        for outcome in Outcome:
            observe.OUTCOMES[outcome].inc(outcomes.count(outcome))
        self._worker.wake()
        await self._store.after_commit()


class Server(uvicorn.Server):
    """uvicorn, with readiness failing for a while before it stops accepting."""

    def __init__(self, config: uvicorn.Config, collector: Collector) -> None:
        super().__init__(config)
        self._collector = collector
        self.listening = asyncio.Event()
        """Set once requests are taken."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port."""
        await super().startup(sockets)
        self._collector.port = self.port
        self.listening.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On SIGTERM drain, then end; on SIGINT, or a second signal, end without draining.

        Unlike uvicorn's, it does not raise the signal again once all is served: that would
        end the process before it has put its files in order, and not with exit code 0.
        """
        del frame
        if self._collector.is_draining:
            self.should_exit = True
            return
        self._collector.is_draining = True
        self._collector.end_streams()
        drain_s = self._collector.settings.drain_s if sig == signal.SIGTERM else 0.0
        log.info("draining", seconds=drain_s)
        asyncio.get_running_loop().call_later(drain_s, self._exit)

    def _exit(self) -> None:
        self.should_exit = True

    @property
    def port(self) -> int:
        """The port it listens on, once started; useful when port 0 was asked for."""
        return int(self.servers[0].sockets[0].getsockname()[1])


def create_server(collector: Collector) -> Server:
    """A server for `collector` on its host and port."""
    settings = collector.settings
    config = uvicorn.Config(
        collector,
        host=settings.host,
        port=settings.port,
        loop="none",  # chosen by whoever runs the event loop
        http=CallbackProtocol.bound_to(collector.endpoint),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    return Server(config, collector)


async def serve(settings: Settings) -> None:
    """Run the collector until SIGTERM or SIGINT; what was acknowledged is durable at any time."""
    allow_deep_nesting()
    collector = Collector(settings)
    server = create_server(collector)
    spare_the_garbage_collector()
    async with collector.running():
        _introduce(collector)
        await server.serve()


def _introduce(collector: Collector) -> None:
    """Say where callbacks go; secrets that were just made are shown here, and never again."""
    settings = collector.settings
    lines = [
        f"Edges collector {__version__}",
        f"  callback URL   {collector.base_url}/callbacks",
    ]
    if collector.ingest_token.is_new:
        lines += [
            f"  callback header  Authorization: Bearer {collector.ingest_token.value}",
            f"                   (shown once; kept in {settings.data_dir / INGEST_TOKEN_FILE})",
        ]
    if collector.admin_key.is_new:
        lines += [
            f"  API key          {collector.admin_key.value}",
            f"                   (shown once; kept in {settings.data_dir / ADMIN_KEY_FILE})",
        ]
    if collector.ingest_token.is_new or collector.admin_key.is_new:
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()
