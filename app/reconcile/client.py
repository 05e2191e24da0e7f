"""A client of the Edges API: each route by name, answers as they came and read with tolerance.

All calls raise what `app.reconcile.errors` has, and StoreUnavailableError where the budget
is kept in a database that is away. They may wait for their turn in the budget, for longer
than any of their own time-outs.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal
from urllib.parse import quote, unquote

import httpx2
import msgspec

from app.canonical import Json
from app.reconcile.answers import (
    PageAnswer,
    RecordAnswer,
    RunAnswer,
    count_items,
    read_object,
    read_records,
    read_run,
)
from app.reconcile.budget import Budget
from app.reconcile.errors import CursorRefusedError, EdgesRefusedError, ForeignPageError
from app.reconcile.exchange import Answer, Call, Exchange, Retries, Timeouts

NEXT_URL_LENGTH_MAX: Final = 8_192

_Params = Mapping[str, str | int | Sequence[str]]


class EdgesClient:
    """One workspace of Edges. Close it after use."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        budget: Budget,
        page_limit: int = 500,
        timeouts: Timeouts | None = None,
        retries: Retries | None = None,
    ) -> None:
        """`page_limit`: inputs or outputs to a page. Raises ValueError for a bad address
        or key.
        """
        self._base = httpx2.URL(base_url.rstrip("/"))
        if (
            self._base.scheme not in ("http", "https")
            or not self._base.host
            or self._base.userinfo
            or self._base.query
        ):
            raise ValueError(f"{base_url} is no address of an API: give https://HOST/PATH")
        self._prefix = f"{self._base.path.rstrip('/')}/"
        # Where the pages of the documentation disagree, the largest limit that is taken.
        self._limits = {
            "inputs": (page_limit, min(page_limit, 100)),
            "outputs": (page_limit, min(page_limit, 100)),
            "callbacks": (100, 20),
            "schedules": (100, 20),
        }
        self._budget = budget
        self._exchange = Exchange(api_key, budget, timeouts or Timeouts(), retries or Retries())

    @property
    def budget_left(self) -> int | None:
        """Requests left in this minute, at the least; None as long as Edges has not told."""
        return self._budget.left

    async def close(self) -> None:
        """Close all connections."""
        await self._exchange.close()

    async def run(self, run_uid: str) -> RunAnswer:
        """`GET /runs/{run_uid}`."""
        call = self._call("run", run_uid, "GET", "runs", run_uid)
        return await self._exchange.ask(call, _run)

    async def act(self, run_uid: str, action: Literal["resume", "continue", "cancel"]) -> RunAnswer:
        """`POST /runs/{run_uid}/{action}`: the run as it is after it."""
        call = self._call("act", run_uid, "POST", "runs", run_uid, action)
        return await self._exchange.ask(call, _run)

    async def first_page(self, run_uid: str, of: Literal["inputs", "outputs"]) -> PageAnswer:
        """`GET /runs/{run_uid}/inputs` or `/outputs`, from the beginning."""
        return await self._stepping_down(
            of, lambda limit: self._page(of, run_uid, ("runs", run_uid, of), limit=limit)
        )

    async def next_page(self, run_uid: str, url: str) -> PageAnswer:
        """The page that an earlier page's `next_url` leads to.

        Raises ForeignPageError if that leads away from the API, CursorRefusedError if Edges
        does not know the place any more.
        """
        own = self._own(url, run_uid)
        route = own.path.rstrip("/").rpartition("/")[2]
        route = route if route in (*self._limits, "runs") else "other"
        call = Call(method="GET", url=own, route=route, run_uid=run_uid)
        try:
            return await self._exchange.ask(call, lambda answer: self._read_page(answer, None))
        except EdgesRefusedError as error:
            if error.status in (400, 404, 410):
                raise CursorRefusedError(
                    f"{error}; the place in the pages of run {run_uid} is lost: begin again at"
                    " the first",
                    status=error.status,
                    error=error.error,
                ) from error
            raise

    async def failed_callbacks(
        self, run_uid: str, *, offset: int, statuses: Sequence[str] = ("FAILED",)
    ) -> PageAnswer:
        """`GET /runs/callbacks` of one run, oldest first; `records` has them, `limit` how many.

        `next_offset` and `next_url` are None when fewer came than were asked for.
        """
        filters = {"run_uid": run_uid, "status": statuses, "sort": "created_at"}
        return await self._stepping_down(
            "callbacks",
            lambda limit: self._records(
                "callbacks", run_uid, ("runs", "callbacks"), filters, offset=offset, limit=limit
            ),
        )

    async def replay(self, run_uid: str, callback_uid: str) -> RecordAnswer:
        """`POST /runs/callbacks/{callback_uid}/replay`: the record of the new callback."""
        call = self._call("replay", run_uid, "POST", "runs", "callbacks", callback_uid, "replay")
        return await self._exchange.ask(call, _record)

    async def runs(
        self, *, offset: int, limit: int = 100, **filters: str | int | Sequence[str]
    ) -> PageAnswer:
        """`GET /runs`, filtered by fields of the API (`status`, `sort`, …); `records` has them."""
        return await self._records("runs", "", ("runs",), filters, offset=offset, limit=limit)

    async def schedules(self, *, offset: int = 0, next_url: str | None = None) -> PageAnswer:
        """`GET /schedules`, a page by offset or by an earlier page's `next_url`."""
        if next_url is not None:
            call = Call(method="GET", url=self._own(next_url, ""), route="schedules", run_uid="")
            return await self._exchange.ask(
                call, lambda answer: self._read_page(answer, None, with_records=True)
            )
        return await self._stepping_down(
            "schedules",
            lambda limit: self._records(
                "schedules", "", ("schedules",), {}, offset=offset, limit=limit
            ),
        )

    async def schedule(self, uid: str) -> RecordAnswer:
        """`GET /schedules/{uid}`."""
        call = self._call("schedules", "", "GET", "schedules", uid)
        return await self._exchange.ask(call, _record)

    async def act_on_schedule(
        self,
        uid: str,
        action: Literal["update", "pause", "resume", "delete"],
        body: Mapping[str, object] | None = None,
    ) -> RecordAnswer:
        """`POST /schedules/{uid}/{action}`: the schedule as it is after it."""
        call = self._call("schedules", "", "POST", "schedules", uid, action, body=body)
        return await self._exchange.ask(call, _record)

    async def _stepping_down(
        self, route: str, ask: Callable[[int], Awaitable[PageAnswer]]
    ) -> PageAnswer:
        """Ask with the larger limit; where that is refused, with the smaller one from then on."""
        larger, smaller = self._limits[route]
        try:
            return await ask(larger)
        except EdgesRefusedError as error:
            if error.status != 400 or smaller >= larger:
                raise
        page = await ask(smaller)
        self._limits[route] = (smaller, smaller)
        return page

    async def _page(
        self, route: str, run_uid: str, parts: Sequence[str], *, limit: int
    ) -> PageAnswer:
        call = self._call(route, run_uid, "GET", *parts, params={"limit": limit})
        return await self._exchange.ask(call, lambda answer: self._read_page(answer, limit))

    async def _records(
        self,
        route: str,
        run_uid: str,
        parts: Sequence[str],
        filters: _Params,
        *,
        offset: int,
        limit: int,
    ) -> PageAnswer:
        params = {**filters, "limit": limit, "offset": offset}
        call = self._call(route, run_uid, "GET", *parts, params=params)

        def read(answer: Answer) -> PageAnswer:
            page = self._read_page(answer, limit, with_records=True)
            if page.count < limit:
                return page
            following = offset + page.count
            url = page.next_url or str(call.url.copy_set_param("offset", following))
            return replace(page, next_url=url, next_offset=following)

        return await self._exchange.ask(call, read)

    def _read_page(
        self, answer: Answer, limit: int | None, *, with_records: bool = False
    ) -> PageAnswer:
        link = answer.headers.get("x-pagination-next", "").strip()
        next_url = self._resolved(link, answer.url) if link else None
        if next_url == str(answer.url):
            raise TypeError("the page names itself as its next one")
        return PageAnswer(
            body=answer.body,
            url=str(answer.url),
            count=count_items(answer.body),
            limit=limit,
            next_url=next_url,
            records=read_records(answer.body) if with_records else None,
        )

    def _call(
        self,
        route: str,
        run_uid: str,
        method: str,
        *parts: str,
        params: _Params | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Call:
        """A request to a path of the API. Raises ValueError for a part that is none."""
        for part in parts:
            if not part.strip("."):  # "..", that would be a step up
                raise ValueError(f"{part!r} is no uid")
        path = "/".join(quote(part, safe="") for part in parts)
        return Call(
            method=method,
            url=httpx2.URL(f"{self._base}/{path}", params=params),
            route=route,
            run_uid=run_uid,
            content=None if body is None else msgspec.json.encode(body),
        )

    def _resolved(self, link: str, page: httpx2.URL) -> str:
        """A link as a whole address: one that is relative stands for a place within the API."""
        try:
            if link.startswith("?"):
                return str(page.join(link))
            return str(self._base.copy_with(path=self._prefix).join(link))
        except httpx2.InvalidURL:
            return link  # to be refused when it is followed

    def _own(self, link: str, run_uid: str) -> httpx2.URL:
        """The address that `link` is. Raises ForeignPageError unless it is within the API."""
        try:
            url = httpx2.URL(link) if len(link) <= NEXT_URL_LENGTH_MAX else httpx2.URL()
        except httpx2.InvalidURL:
            url = httpx2.URL()
        steps = unquote(url.path).replace("\\", "/").split("/")
        if (
            _origin(url) != _origin(self._base)
            or url.userinfo
            or not url.path.startswith(self._prefix)
            or ".." in steps
        ):
            raise ForeignPageError(
                f"the next page of run {run_uid or '(none)'} is said to be at {link[:200]!r}, which"
                f" is outside of {self._base}: it is not followed, and the key not sent there;"
                " check COLLECTOR_EDGES_BASE_URL",
                host=url.host,
            )
        return url.copy_with(fragment=None)


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    usual = {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.host.rstrip("."), url.port or usual


def _run(answer: Answer) -> RunAnswer:
    return read_run(answer.body, _object(answer))


def _record(answer: Answer) -> RecordAnswer:
    return RecordAnswer(_object(answer), answer.body)


def _object(answer: Answer) -> Mapping[str, Json]:
    """The answer's object; an empty one where a 2xx says nothing more."""
    return read_object(answer.body) if answer.body.strip() else {}
