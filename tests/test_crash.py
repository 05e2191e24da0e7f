"""Killed at named points and at random, under load: every acknowledged callback is there, once."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.callbacks import sent
from tests.collector_process import CollectorProcess
from tests.conftest import sqlite_only
from tests.edges_process import wait_until
from tests.senders import Load, check
from tests.soak import SOAK

LOG_POINTS = ("log begun", "log before commit", "log after commit")
WORKER_POINTS = ("projection before commit", "projection after commit")


def test_killed_at_random_again_and_again_nothing_acknowledged_is_lost(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    acknowledged: dict[str, str] = {}
    sent_refs: set[str] = set()
    for turn in range(20 if SOAK else 6):
        collector = start_collector()
        load = Load(collector.base_url, seed + turn)
        enough = rng.randrange(1, 150)
        wait_until(lambda: len(load.acknowledged) >= enough, "nothing is acknowledged")  # noqa: B023
        time.sleep(rng.uniform(0, 0.1))
        collector.kill()
        load.finish()
        acknowledged |= load.acknowledged
        sent_refs |= set(load.sent)
    check(start_collector(), acknowledged, sent_refs)


@pytest.mark.parametrize("point", LOG_POINTS)
def test_killed_in_the_log_nothing_acknowledged_is_lost(
    start_collector: Callable[..., CollectorProcess], point: str
) -> None:
    collector = start_collector(env={"COLLECTOR_CRASH_AT": f"{point}:25"})
    load = Load(collector.base_url, 7)
    assert collector.process.wait(timeout=60) == -9
    load.finish()
    assert load.acknowledged
    check(start_collector(), load.acknowledged, set(load.sent))


@pytest.mark.parametrize("point", WORKER_POINTS)
def test_a_worker_killed_in_the_projection_carries_on(
    start_collector: Callable[..., CollectorProcess], point: str
) -> None:
    """The worker dies at every sixth batch, and is started again, until all is projected."""
    collector = start_collector(env={"COLLECTOR_CRASH_AT": f"{point}:6"})
    load = Load(collector.base_url, 11, pause_s=0.02)
    try:
        wait_until(lambda: collector.log.count("worker ended") >= 2, "the worker does not die")
    finally:
        load.finish()
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
        load = Load(collector.base_url, 100 + seed)
        assert collector.process.wait(timeout=60) == -9
        load.finish()
        acknowledged |= load.acknowledged
        sent_refs |= set(load.sent)
    check(start_collector(), acknowledged, sent_refs)


def test_sigterm_drains_and_ends_with_0(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    collector = start_collector(env={"COLLECTOR_DRAIN_S": "3"})
    load = Load(collector.base_url, 3, pause_s=0.01)
    wait_until(lambda: load.acknowledged, "nothing is acknowledged")
    collector.process.terminate()
    wait_until(lambda: "draining" in collector.log, "it does not drain")
    ready = collector.http.get("/readyz")
    assert ready.status_code == 503
    assert not ready.json()["checks"]["accepting"]["ok"]
    assert collector.process.wait(timeout=60) == 0
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
