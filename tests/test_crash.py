"""Killed at named points and at random, under load: every acknowledged callback is there, once."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.callbacks import sent
from tests.collector_process import TOKEN, CollectorProcess
from tests.conftest import sqlite_only

SENDERS = 6
RUNS = ("run-a", "run-b")

LOG_POINTS = ("log begun", "log before commit", "log after commit")
WORKER_POINTS = ("projection before commit", "projection after commit")


class Load:
    """Senders that send distinct callbacks, some of them twice, until the server is gone."""

    def __init__(self, collector: CollectorProcess, seed: int) -> None:
        self.acknowledged: dict[str, str] = {}
        """The run of each callback that was answered with 200, by its ref."""
        self.sent: dict[str, str] = {}
        self._url = f"{collector.base_url}/callbacks"
        self._seed = seed
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)
        ]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Stop sending; returns once every sender has its last answer, or none."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, number: int) -> None:
        rng = random.Random(f"{self._seed}/{number}")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx2.Client(headers=headers, trust_env=False, timeout=10) as client:
            for count in range(100_000):
                if self._stop.is_set():
                    return
                ref, run = f"{self._seed}-{number}-{count}", rng.choice(RUNS)
                body = sent(ref, run=run, row=ref, results=({"ref": ref, "pad": "x" * 500},))
                self.sent[ref] = run
                try:
                    for _ in range(2 if rng.random() < 0.1 else 1):
                        answer = client.post(self._url, content=body)
                        if answer.status_code == 200:
                            self.acknowledged[ref] = run
                except httpx2.HTTPError:
                    return


def check(collector: CollectorProcess, acknowledged: dict[str, str], sent_refs: set[str]) -> None:
    """Every acknowledged callback is logged once and its result counted once; nothing made up."""
    collector.wait_until_projected()
    for run in RUNS:
        expected = {ref for ref, of_run in acknowledged.items() if of_run == run}
        if not expected:
            continue
        logged = Counter(
            row["callback_ref_uid"] for row in collector.pages(f"runs/{run}/callbacks", limit=1000)
        )
        results = Counter(
            row["data"]["ref"] for row in collector.pages(f"runs/{run}/results", limit=1000)
        )
        assert expected <= set(logged), f"lost: {sorted(expected - set(logged))[:5]}"
        assert set(logged) <= sent_refs
        assert set(logged.values()) == {1}
        assert results == logged
        counts = collector.get(f"runs/{run}")["counts"]
        assert counts["callbacks"] == counts["results"] == counts["inputs"] == len(logged)


@pytest.mark.timeout(240)
def test_killed_at_random_20_times_nothing_acknowledged_is_lost(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    acknowledged: dict[str, str] = {}
    sent_refs: set[str] = set()
    for turn in range(20):
        collector = start_collector()
        load = Load(collector, seed + turn)
        time.sleep(rng.uniform(0.02, 0.5))
        collector.kill()
        load.finish()
        acknowledged |= load.acknowledged
        sent_refs |= set(load.sent)
    assert len(acknowledged) > 200
    check(start_collector(), acknowledged, sent_refs)


@pytest.mark.parametrize("point", LOG_POINTS)
def test_killed_in_the_log_nothing_acknowledged_is_lost(
    start_collector: Callable[..., CollectorProcess], point: str
) -> None:
    collector = start_collector(env={"COLLECTOR_CRASH_AT": f"{point}:25"})
    load = Load(collector, 7)
    assert collector.process.wait(timeout=30) == -9
    load.finish()
    assert load.acknowledged
    check(start_collector(), load.acknowledged, set(load.sent))


@pytest.mark.parametrize("point", WORKER_POINTS)
def test_a_worker_killed_in_the_projection_carries_on(
    start_collector: Callable[..., CollectorProcess], point: str
) -> None:
    """The worker dies at every third batch, and is started again, until all is projected."""
    collector = start_collector(env={"COLLECTOR_CRASH_AT": f"{point}:3"})
    load = Load(collector, 11)
    until = time.monotonic() + 20
    while "worker ended" not in collector.log and time.monotonic() < until:
        time.sleep(0.1)
    load.finish()
    assert "worker ended" in collector.log
    check(collector, load.acknowledged, set(load.sent))


@sqlite_only
def test_killed_while_checkpointing_nothing_is_lost(
    start_collector: Callable[..., CollectorProcess], tmp_path: Path
) -> None:
    """At each checkpoint point, in a log that is checkpointed after every batch."""
    acknowledged: dict[str, str] = {}
    sent_refs: set[str] = set()
    for seed, point in enumerate(("log before checkpoint", "log after checkpoint")):
        env = {"COLLECTOR_CRASH_AT": f"{point}:5", "COLLECTOR_CHECKPOINT_BYTES": "65536"}
        collector = start_collector(env=env)
        load = Load(collector, 100 + seed)
        assert collector.process.wait(timeout=30) == -9
        load.finish()
        acknowledged |= load.acknowledged
        sent_refs |= set(load.sent)
    check(start_collector(), acknowledged, sent_refs)


def test_sigterm_drains_and_ends_with_0(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    collector = start_collector(env={"COLLECTOR_DRAIN_S": "1.5"})
    load = Load(collector, 3)
    time.sleep(0.5)
    collector.process.terminate()
    time.sleep(0.5)
    ready = collector.http.get("/readyz")
    assert ready.status_code == 503
    assert not ready.json()["checks"]["accepting"]["ok"]
    assert collector.process.wait(timeout=30) == 0
    load.finish()
    assert load.acknowledged
    check(start_collector(), load.acknowledged, set(load.sent))


@sqlite_only
def test_a_full_disk_gives_503_and_what_was_acknowledged_stays(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    """A limit on the size of files stands in for the end of the disk."""
    collector = start_collector(preexec=limit_file_size)
    acknowledged: dict[str, str] = {}
    sent_refs: set[str] = set()
    refused = 0
    noise = random.Random(1)
    for number in range(200):
        ref = f"c{number}"
        sent_refs.add(ref)
        pad = noise.randbytes(20_000).hex()
        answer = collector.send(sent(ref, run="run-a", row=ref, results=({"ref": ref, "p": pad},)))
        if answer.status_code == 200:
            acknowledged[ref] = "run-a"
        else:
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            refused += 1
    assert refused > 10
    assert len(acknowledged) > 10
    assert collector.http.get("/healthz").status_code == 200
    collector.kill()
    check(start_collector(), acknowledged, sent_refs)


def limit_file_size() -> None:
    import resource  # noqa: PLC0415 - in the child alone

    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
