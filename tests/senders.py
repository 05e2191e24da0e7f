"""Load from many senders at once, and the account of it: what was acknowledged is there, once."""

import random
import threading
import time
from collections import Counter

import httpx2

from tests.callbacks import sent
from tests.collector_process import TOKEN, CollectorProcess

SENDERS = 6
RUNS = ("run-a", "run-b")


class Load:
    """Senders that send distinct callbacks, some of them twice, until the server is gone.

    With `retries` they send again what was not acknowledged, for as long as it takes. Each rests
    for `pause_s` after a callback: at full speed a load that lasts is thousands to be looked at
    afterwards, and leaves a worker no time.
    """

    def __init__(
        self, base_url: str, seed: int, *, retries: bool = False, pause_s: float = 0.0
    ) -> None:
        self.acknowledged: dict[str, str] = {}
        """The run of each callback that was answered with 200, by its ref."""
        self.sent: dict[str, str] = {}
        self.answers: list[tuple[float, int]] = []
        """When each answer came, and its status."""
        self.without_retry_after = 0
        """Answers with 503 that do not say when to come again."""
        self._url = f"{base_url}/callbacks"
        self._seed = seed
        self._retries = retries
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._is_gone = False
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
        with httpx2.Client(headers=headers, trust_env=False, verify=False, timeout=60) as client:
            for count in range(100_000):
                if self._stop.is_set():
                    return
                ref, run = f"{self._seed}-{number}-{count}", rng.choice(RUNS)
                body = sent(ref, run=run, row=ref, results=({"ref": ref, "pad": "x" * 500},))
                self.sent[ref] = run
                for _ in range(2 if rng.random() < 0.1 else 1):
                    while not self._is_taken(client, body, ref) and not self._stop.is_set():
                        if not self._retries:
                            break
                        time.sleep(0.02)
                if self._is_gone:
                    return
                time.sleep(self._pause_s)

    def _is_taken(self, client: httpx2.Client, body: bytes, ref: str) -> bool:
        try:
            answer = client.post(self._url, content=body)
        except httpx2.HTTPError:
            self._is_gone = not self._retries
            return False
        self.answers.append((time.monotonic(), answer.status_code))
        if answer.status_code == 503 and not answer.headers.get("retry-after"):
            self.without_retry_after += 1
        if answer.status_code == 200:
            self.acknowledged[ref] = self.sent[ref]
        return answer.status_code == 200


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
