"""Several replicas on one PostgreSQL, and what may befall it: nothing acknowledged is lost."""

import asyncio
import itertools
import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest

from tests.callbacks import RUN, sent
from tests.collector_process import CollectorProcess
from tests.databases import fresh_postgres
from tests.edges_process import wait_until
from tests.postgres_server import PostgresServer
from tests.senders import Load, check
from tests.tcp_proxy import TcpProxy

Start = Callable[..., CollectorProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts replicas on the PostgreSQL at a URL, and ends them after the test."""
    started: list[CollectorProcess] = []

    def starting(url: str, **settings: str) -> CollectorProcess:
        env = {f"COLLECTOR_{name.upper()}": value for name, value in settings.items()}
        env |= {"COLLECTOR_DATABASE_URL": url, "COLLECTOR_DATA_DIR": str(tmp_path / "data")}
        started.append(CollectorProcess(env))
        return started[-1]

    yield starting
    for process in started:
        process.kill()


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own."""
    own = PostgresServer().start()
    yield own
    own.remove()


@pytest.mark.timeout(300)
def test_replicas_killed_one_after_another_lose_nothing_and_double_nothing(start: Start) -> None:
    """Three behind a balancer; every second one is killed and started again."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    logs: list[Path] = []
    with fresh_postgres() as url, ExitStack() as ending:

        def replica() -> CollectorProcess:
            process = start(url, log_level="debug")
            logs.append(process.log_path)
            return process

        replicas = [replica() for _ in range(3)]
        for one in replicas:
            one.wait_until_ready()
        balancer = TcpProxy([one.port for one in replicas])
        ending.callback(balancer.close)
        load = Load(balancer.base_url, seed, retries=True, pause_s=0.01)
        for turn in range(8):
            enough = 30 * (turn + 1)
            wait_until(lambda: len(load.acknowledged) >= enough, "nothing is taken")  # noqa: B023
            place = rng.randrange(3)
            replicas[place].kill()
            replicas[place] = replica()
            balancer.replace_backend(place, replicas[place].port)
        for one in replicas:
            one.wait_until_ready()
        load.finish()
        check(replicas[0], load.acknowledged, set(load.sent))
        assert_no_run_was_projected_twice(logs)


def assert_no_run_was_projected_twice(logs: list[Path]) -> None:
    """What workers say that they projected: ranges of each run that follow one another."""
    ranges: dict[str, list[tuple[int, int]]] = {}
    for log in dict.fromkeys(logs):  # a port, and so a log's name, may be given out twice
        for line in log.read_text("utf-8", "replace").splitlines():
            if '"event":"projected"' in line:
                said = json.loads(line)
                ranges.setdefault(said["run_uid"], []).append((said["from_seq"], said["next_seq"]))
    assert ranges
    for found in ranges.values():
        found.sort()
        for (_, end), (start_seq, _) in itertools.pairwise(found):
            assert start_seq >= end, found


def test_roles_share_the_work(start: Start) -> None:
    """One that only receives, one that only works: a callback goes through both."""
    with fresh_postgres() as url:
        receiver = start(url, role="receive").wait_until_ready()
        assert receiver.send(sent("c1")).json()["status"] == "stored"
        time.sleep(1.5)
        assert receiver.http.get(f"/api/v1/runs/{RUN}").status_code == 404
        checks = receiver.http.get("/readyz").json()["checks"]
        assert checks["worker"] == {"ok": True, "detail": "none: this replica only receives"}
        assert "1 callbacks wait" in checks["projection"]["detail"]
        worker = start(url, role="work").wait_until_ready()
        worker.wait_until_projected()
        assert receiver.get(f"runs/{RUN}")["counts"]["results"] == 1
        refused = worker.send(sent("c2"))
        assert refused.status_code == 503
        assert "COLLECTOR_ROLE=work" in refused.json()["detail"]
        started = time.monotonic()
        assert receiver.send(sent("c2", row="row-2")).json()["status"] == "stored"
        while receiver.get(f"runs/{RUN}")["counts"]["callbacks"] != 2:
            assert time.monotonic() - started < 5
            time.sleep(0.02)


@pytest.mark.timeout(300)
def test_ten_seconds_without_postgres_are_an_outage_and_no_loss(
    start: Start, server: PostgresServer
) -> None:
    collector = start(server.url).wait_until_ready()
    load = Load(collector.base_url, 21, retries=True, pause_s=0.01)
    time.sleep(1)
    server.stop(signal.SIGQUIT)
    stopped = time.monotonic()
    time.sleep(10)
    server.start()
    back = time.monotonic()
    time.sleep(6)
    load.finish()
    assert load.without_retry_after == 0
    meanwhile = {status for at, status in load.answers if stopped + 1 < at < back - 1}
    assert meanwhile == {503}
    afterwards = {status for at, status in load.answers if at > back + 5}
    assert afterwards == {200}
    check(collector, load.acknowledged, set(load.sent))


@pytest.mark.parametrize("size", [1, 40])
def test_a_network_cut_in_mid_commit_neither_loses_nor_doubles(
    start: Start, server: PostgresServer, size: int
) -> None:
    """The commit takes place, and its answer gets lost: a retry counts once."""
    with ExitStack() as ending:
        proxy = TcpProxy([server.port])
        ending.callback(proxy.close)
        through = server.url.replace(str(server.port), str(proxy.port))
        collector = start(through).wait_until_ready()
        assert collector.send(sent("first")).status_code == 200
        cut: list[bytes] = []
        everything: list[bytes] = []
        with ThreadPoolExecutor(size) as senders:
            for turn in range(60):
                bodies = [sent(f"c{turn}-{n}", row=f"row-{turn}-{n}") for n in range(size)]
                proxy.cut_next_answers = True
                answers = list(senders.map(lambda body: collector.send(body).status_code, bodies))
                assert set(answers) <= {200, 503}
                cut += [body for body, status in zip(bodies, answers, strict=True) if status == 503]
                everything += bodies
                if len(cut) >= 3 * size:
                    break
        assert cut
        retries = [retried(collector, body) for body in cut]
        assert "duplicate" in retries  # it was committed, and nobody was told
        assert {retried(collector, body) for body in everything} == {"duplicate"}
        collector.wait_until_projected()
        counts = collector.get(f"runs/{RUN}")["counts"]
        assert counts["callbacks"] == counts["results"] == len(everything) + 1


def test_no_connection_to_be_had_is_said_and_got_over(start: Start) -> None:
    server = PostgresServer(
        settings=["max_connections=8", "superuser_reserved_connections=0"]
    ).start()
    try:
        collector = start(server.url).wait_until_ready()
        assert collector.send(sent("c1")).status_code == 200
        with Hogs(server.url) as hogs:
            hogs.take_all()
            other = start(server.url)
            assert other.process.wait(timeout=60) == 1
            assert "too many clients" in other.log
            assert "Traceback" not in other.log
            hogs.cut_others()
            hogs.take_all()
            answer = collector.send(sent("c2"))
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
        assert retried(collector, sent("c2")) == "stored"
        collector.wait_until_projected()
        assert collector.get(f"runs/{RUN}")["counts"]["callbacks"] == 2
    finally:
        server.remove()


def retried(collector: CollectorProcess, body: bytes) -> str:
    for _ in range(50):
        answer = collector.send(body)
        if answer.status_code == 200:
            return str(answer.json()["status"])
        time.sleep(0.1)
    raise AssertionError(answer.text)


class Hogs:
    """Connections that are held and do nothing."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> "Hogs":
        self._runner = asyncio.Runner()
        self._held: list[asyncpg.Connection] = []
        return self

    def take_all(self) -> None:
        while True:
            try:
                self._held.append(self._runner.run(asyncpg.connect(self._url)))
            except asyncpg.TooManyConnectionsError:
                return

    def cut_others(self) -> None:
        """End all connections but these."""
        ours = [connection.get_server_pid() for connection in self._held]
        self._runner.run(
            self._held[0].execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> ALL($1)",
                ours,
            )
        )

    def __exit__(self, *_: object) -> None:
        for connection in self._held:
            self._runner.run(connection.close())
        self._runner.close()


def test_a_standby_given_by_mistake_is_refused_at_start(
    start: Start, server: PostgresServer
) -> None:
    server.stop()
    server.become_standby()
    server.start()
    collector = start(server.url)
    assert collector.process.wait(timeout=60) == 1
    assert "give the address of the primary" in collector.log
    assert "Traceback" not in collector.log


def test_a_server_that_is_not_there_is_said_at_start(start: Start) -> None:
    collector = start("postgresql://someone:hush-hush@127.0.0.1:1/nothing")
    assert collector.process.wait(timeout=60) == 1
    assert "PostgreSQL cannot answer" in collector.log
    assert "hush-hush" not in collector.log
    assert "Traceback" not in collector.log
