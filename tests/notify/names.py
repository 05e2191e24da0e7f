"""A DNS whose answers a test decides."""

import asyncio
import socket
from collections.abc import Sequence


class Names:
    """A resolver with answers in order, the last one again and again; counts questions."""

    def __init__(self, *answers: Sequence[str], delay_s: float = 0.0) -> None:
        self._answers = list(answers)
        self._delay_s = delay_s
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        await asyncio.sleep(self._delay_s)
        if not self._answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
