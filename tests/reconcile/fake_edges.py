"""Edges' schedules without a network, as `EdgesClient` would answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.reconcile.answers import PageAnswer, Record, RecordAnswer
from app.reconcile.errors import EdgesApiError, NotFoundError
from app.reconcile.schedules import ScheduleAction

STATUSES = {"pause": "PAUSED", "resume": "ACTIVE"}


@dataclass
class FakeEdges:
    """Schedules by uid, and runs; what was asked is noted in `asked`."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    run_records: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    errors: list[EdgesApiError] = field(default_factory=list)
    """Raised one after another before anything is answered."""
    page_size: int = 100
    paging: str = "offset"
    """`link`: by links alone, an offset is ignored; `circle`: always the first page."""
    is_silent: bool = False
    """Whether the answers to actions say nothing."""

    def add(self, uid: str, cron: str | None = "0 * * * *", **more: Any) -> None:
        self.records[uid] = {
            "uid": uid,
            "action_name": "an-action",
            "status": "ACTIVE",
            "cron": cron,
            "timezone": "UTC",
        } | more

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.errors:
            raise self.errors.pop(0)

    async def schedules(self, *, offset: int = 0, next_url: str | None = None) -> PageAnswer:
        self._ask(f"list {next_url or offset}")
        by_link = self.paging == "link"
        start = int(next_url or 0) if by_link else 0 if self.paging == "circle" else offset
        found = [self.records[uid] for uid in sorted(self.records)][start:][: self.page_size]
        is_full = len(found) == self.page_size
        following = start + len(found)
        return PageAnswer(
            body=json.dumps(found).encode(),
            url="http://edges/schedules",
            count=len(found),
            limit=None if next_url else self.page_size,
            next_url=str(following) if is_full else None,
            next_offset=following if is_full and next_url is None else None,
            records=tuple(map(Record, found)),
        )

    async def schedule(self, uid: str) -> RecordAnswer:
        self._ask(f"get {uid}")
        return self._answer(uid)

    async def act_on_schedule(
        self, uid: str, action: ScheduleAction, body: Mapping[str, object] | None = None
    ) -> RecordAnswer:
        self._ask(f"{action} {uid} {json.dumps(body)}")
        answer = self._answer(uid)
        if action == "delete":
            del self.records[uid]
        else:
            status = STATUSES.get(action, answer.status)
            self.records[uid] |= {"status": status, **(body or {})}
            answer = self._answer(uid)
        return RecordAnswer({}, b"") if self.is_silent or action == "delete" else answer

    async def runs(
        self, *, offset: int, limit: int = 100, **filters: str | int | Sequence[str]
    ) -> PageAnswer:
        self._ask(f"runs {dict(sorted(filters.items()))}")
        found = tuple(map(Record, self.run_records[offset:][:limit]))
        return PageAnswer(body=b"", url="", count=len(found), limit=limit, records=found)

    def _answer(self, uid: str) -> RecordAnswer:
        if uid not in self.records:
            raise NotFoundError("HTTP 404", status=404, error={"label": "STATUS_404"})
        record = dict(self.records[uid])
        return RecordAnswer(record, json.dumps(record).encode())
