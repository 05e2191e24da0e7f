"""Erasing within the test's own process, one step at a time."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from app.erase.asking import new_erasure
from app.event import Event
from app.notify.sealing import Seal
from app.project.projector import Projector
from app.project.rework import rework
from app.settings import Settings
from app.store.database import Work, opened_for_work
from app.store.erasures import PERSON as PERSON_KIND
from app.store.erasures import RUN as RUN_KIND
from tests.erase.people import FIELD, PERSON
from tests.project.test_merge import arrival, exported, open_store, project


class Erasing:
    """A store, its worker and its sweeper, one step at a time."""

    def __init__(
        self, runner: asyncio.Runner, stack: ExitStack, settings: Settings | None = None
    ) -> None:
        self.runner = runner
        self.settings = settings or Settings()
        self.store = open_store(runner, self.settings)
        stack.callback(lambda: runner.run(self.store.close()))
        runner.run(self.store.erasures.use_seal(Seal("s" * 32)))
        self.work: Work = stack.enter_context(opened_for_work(self.settings, "worker"))
        self.projector = Projector(self.work.log, self.work.projection, self.settings.result_keys)

    def ask(self) -> None:
        asking = new_erasure(self.store, PERSON_KIND, by="tests", field=FIELD, value=PERSON)
        self.runner.run(asking)

    def ask_run(self, run: str) -> None:
        self.runner.run(new_erasure(self.store, RUN_KIND, by="tests", run_uid=run))

    def append(self, *bodies: bytes) -> None:
        self.runner.run(self.store.append([arrival(body) for body in bodies]))

    def carry_out(self) -> dict[str, Any]:
        erasures = self.store.erasures
        while row := self.runner.run(erasures.unfinished()):
            while row.finished_ms is None:
                moved = self.runner.run(erasures.advance(row, 1))
                if moved == row:
                    if self.settings.postgres_url is None:  # there its events wait for this
                        self.runner.run(self.store.outbox.relay(_to_nobody, 1))
                    rework(self.work, self.settings)
                row = moved
        project(self.projector)
        state: dict[str, Any] = self.runner.run(exported(self.store.reader))
        return state


async def _to_nobody(events: Sequence[Event], _: object) -> Sequence[Sequence[str]]:
    return [[] for _ in events]
