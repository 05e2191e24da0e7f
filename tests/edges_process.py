"""A simulated Edges in a process of its own, as tests with real collectors drive it."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx2
import orjson

from tests.collector_process import TOKEN, CollectorProcess, free_port
from tests.template import forked

KEY = "simulated-key"
Json = dict[str, Any]


class EdgesProcess:
    """`edges-collector simulate` on a free port of 127.0.0.1."""

    def __init__(self, **scenario: Any) -> None:
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.process = forked(
            [
                *("simulate", "--port", str(self.port)),
                *("--api-key", KEY, "--scenario", orjson.dumps(scenario).decode()),
            ],
            os.environ,
        )
        self.http = httpx2.Client(
            base_url=f"{self.origin}/v1",
            headers={"X-API-Key": KEY},
            trust_env=False,
            verify=False,  # reading all certificates takes longer than a request
            timeout=60,
        )
        wait_until(self._is_up, "the simulated Edges did not start")

    def _is_up(self) -> bool:
        try:
            return self.http.get(f"{self.origin}/_simulator/healthz").is_success
        except httpx2.TransportError:
            return False

    @property
    def env(self) -> Mapping[str, str]:
        """What a collector needs to ask it, soon."""
        return {
            "COLLECTOR_EDGES_BASE_URL": f"{self.origin}/v1",
            "COLLECTOR_EDGES_API_KEY": KEY,
            "COLLECTOR_RECONCILE_SILENCE_S": "1",
        }

    def launch(
        self,
        inputs: int,
        collector: CollectorProcess | None,
        *,
        on: str = "all",
        parameters: Json | None = None,
        **knobs: Any,
    ) -> str:
        """The uid of a run whose callbacks go to `collector`, if any."""
        body: Json = {
            "inputs": [
                {"linkedin_profile_url": f"https://l/{n}", "custom_data": {"row": n}}
                for n in range(inputs)
            ],
            "parameters": parameters or {},
        }
        if collector is not None:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            body["callback"] = {
                "url": f"{collector.base_url}/callbacks", "headers": headers, "on": on
            }  # fmt: skip
        is_incremental = (parameters or {}).get("sync_mode") == "incremental"
        action = "linkedin-extract-connections" if is_incremental else "linkedin-extract-people"
        answer = self.http.post(
            f"/actions/{action}/run/async",
            json=body,
            headers={"X-Simulator-Scenario": orjson.dumps(knobs).decode()},
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["run_uid"])

    def truth(self, run_uid: str) -> Json:
        answer: Json = self.http.get(f"{self.origin}/_simulator/runs/{run_uid}/truth").json()
        return answer

    def settle(self, run_uid: str) -> Json:
        """The truth, once nothing more is sent."""
        wait_until(lambda: self.truth(run_uid)["settled"], "the run does not end")
        return self.truth(run_uid)

    def results(self, run_uid: str) -> Counter[bytes]:
        """All that can be had of a run."""
        url = f"{self.origin}/_simulator/runs/{run_uid}/truth/results?which=obtainable"
        lines = self.http.get(url).content.splitlines()
        return Counter(canonical(orjson.loads(line)) for line in lines)

    def asked(self) -> Json:
        """Requests since the last time, by route."""
        url = f"{self.origin}/_simulator/requests"
        counts: Json = self.http.get(url).json()["by_route"]
        self.http.delete(url)
        return counts

    def budgeted(self, first_s: float = 3_600) -> Counter[str]:
        """Statuses of the answers that count in the budget, of the first seconds of asking."""
        lines = self.http.get(f"{self.origin}/_simulator/requests/log").content.splitlines()
        asked = [one for one in map(orjson.loads, lines) if one["path"].startswith("/v1/runs")]
        times = [datetime.fromisoformat(one["at"]) for one in asked]
        return Counter(
            str(one["status"])
            for one, at in zip(asked, times, strict=True)
            if at - min(times) < timedelta(seconds=first_s)
        )

    def asked_of(self, run_uid: str) -> list[Json]:
        """Requests about one run since they were last counted anew, oldest first."""
        lines = self.http.get(f"{self.origin}/_simulator/requests/log").content.splitlines()
        return [one for one in map(orjson.loads, lines) if f"/runs/{run_uid}" in one["path"]]

    def change(self, **knobs: Any) -> None:
        """Change knobs of the API as a whole."""
        answer = self.http.patch(f"{self.origin}/_simulator/scenario", json=knobs)
        assert answer.is_success, answer.text


@contextmanager
def simulated_edges(**scenario: Any) -> Iterator[EdgesProcess]:
    """For as long as the block lasts."""
    edges = EdgesProcess(**scenario)
    try:
        yield edges
    finally:
        edges.process.kill()
        edges.process.wait()
        edges.http.close()


def wait_until(
    is_so: Callable[[], Any], otherwise: str | Callable[[], str], timeout_s: float = 100
) -> None:
    until = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until, otherwise if isinstance(otherwise, str) else otherwise()
        time.sleep(0.05)


def canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
