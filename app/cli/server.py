"""A collector that runs somewhere, as commands ask it through its API."""

import asyncio
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2

from app.cli.failures import fail

Record = dict[str, Any]
Tell = Callable[[Record], None]

_POLL_S = 0.2
_ANSWER_S = 60.0
"""Longer than a collector waits for Edges."""

_LISTED_AT_ONCE = 500


class ServerError(Exception):
    """There is no collector to ask, or it does not let us."""


class Server:
    """The collector at a URL. Use it as an asynchronous context manager."""

    def __init__(self, url: str, api_key: str) -> None:
        """Raises ValueError if `url` can be none of a collector."""
        self._url = url
        try:
            self._http = httpx2.AsyncClient(
                base_url=url,
                headers={"Authorization": f"Bearer {api_key}"},
                trust_env=False,
                timeout=_ANSWER_S,
            )
        except httpx2.InvalidURL as error:
            raise ValueError(f"{url} is no URL of a collector: {error}") from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def unproven_runs(self) -> list[str]:
        """Uids of all runs that are not complete. Raises ServerError."""
        found: list[str] = []
        for completeness in ("open", "unverified", "incomplete"):
            cursor: dict[str, str] = {}
            while True:
                asked = {"completeness": completeness, "limit": str(_LISTED_AT_ONCE), **cursor}
                answer = await self._send("GET", "/api/v1/runs", params=asked)
                page = self._read(answer)
                if not answer.is_success:
                    raise ServerError(f"{self._url} does not list runs: {_refusal(page, answer)}")
                found += [run["run_uid"] for run in page["data"]]
                if page["next_cursor"] is None:
                    break
                cursor = {"cursor": page["next_cursor"]}
        return found

    async def keys(self) -> list[Record]:
        """All keys of its API. Raises ServerError."""
        found: list[Record] = []
        cursor: dict[str, str] = {}
        while True:
            asked = {"limit": str(_LISTED_AT_ONCE), **cursor}
            page = await self._asked("GET", "/api/v1/keys", params=asked)
            found += page["data"]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    async def create_key(self, asked: Record) -> Record:
        """Have a key made; its record with the `key` itself. Raises ServerError."""
        return await self._asked("POST", "/api/v1/keys", json=asked)

    async def revoke_key(self, key_id: str) -> Record:
        """Have a key open nothing any more; its record then. Raises ServerError."""
        return await self._asked("DELETE", f"/api/v1/keys/{quote(key_id, safe='')}")

    async def _asked(self, method: str, path: str, **more: Any) -> Record:
        """The answer's record. Raises ServerError if it is refused."""
        answer = await self._send(method, path, **more)
        record = self._read(answer)
        if not answer.is_success:
            raise ServerError(f"{self._url} refuses: {_refusal(record, answer)}")
        return record

    async def reconcile(self, run_uid: str, timeout_s: float, tell: Tell) -> Record:
        """Have a run looked at, and wait for it; the run, with `problem` if that failed.

        That the server is away meanwhile is waited out. Raises ServerError if there is none
        at the beginning.
        """
        until_s = monotonic() + timeout_s
        path = f"/api/v1/runs/{quote(run_uid, safe='')}"
        answer = await self._send("POST", f"{path}/reconcile")
        asked = self._read(answer)
        if not answer.is_success:
            return {"run_uid": run_uid, "problem": _refusal(asked, answer)}
        while monotonic() < until_s:
            record = await self._looked_up(path)
            if record is not None:
                tell(record)
                state = record["reconciliation"] or {"problem": "it does not ask Edges any more"}
                if state["problem"]:
                    return {**record, "problem": state["problem"]}
                if state["is_over"] and (state["checked_at"] or "") >= asked["asked_at"]:
                    return record
            await asyncio.sleep(_POLL_S)
        return {"run_uid": run_uid, "problem": f"not done within {timeout_s:g} s"}

    async def _looked_up(self, path: str) -> Record | None:
        """The run; None if it is not there yet, or the server is away for a moment."""
        try:
            answer = await self._send("GET", path)
            return self._read(answer) if answer.is_success else None
        except ServerError:
            return None

    async def _send(self, method: str, path: str, **more: Any) -> httpx2.Response:
        try:
            return await self._http.request(method, path, **more)
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise ServerError(f"no collector answers at {self._url}: {reason}") from error

    def _read(self, answer: httpx2.Response) -> Record:
        """An answer's JSON object. Raises ServerError for all else, such as what proxies say."""
        try:
            record = answer.json()
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise ServerError(
                f"what answers at {self._url} is no collector: HTTP {answer.status_code} without"
                " a JSON object"
            )
        return record


def _refusal(problem: Record, answer: httpx2.Response) -> str:
    """Why it refused."""
    return str(problem.get("detail") or f"HTTP {answer.status_code}")


def server_at(url: str, api_key: str | None) -> Server:
    """The collector that a command was told of; ends the command if it cannot be asked."""
    if api_key is None:
        fail("give --api-key, or set COLLECTOR_API_KEY", code=2)
    try:
        return Server(url, api_key)
    except ValueError as error:
        fail(str(error), code=2)
