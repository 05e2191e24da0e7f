"""The hook: real commands, with both kinds of event loop."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.notify import command as module
from app.notify.attempt import ANSWER_BYTES_MAX, Attempt
from app.notify.command import LocalCommand

pytestmark = pytest.mark.anyio

Write = Callable[[str], str]
EVENT = b'{"id":"1"}'


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture
def python(tmp_path: Path) -> Write:
    """The command that runs a script of the given text."""

    def write(text: str) -> str:
        script = tmp_path / "a script.py"
        script.write_text(text)
        return f"{sys.executable} '{script}'"

    return write


async def ran(command: str, timeout_s: float = 20.0, event: bytes = EVENT) -> Attempt:
    return await LocalCommand(command, timeout_s).run(event)


async def wait_for(path: Path) -> str:
    async with asyncio.timeout(20):
        while not (text := written(path)):
            await asyncio.sleep(0.02)
    return text


def written(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def is_alive(pid: int) -> bool:
    """Whether it runs; one that is dead but not yet buried does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


async def test_the_event_is_on_standard_input(python: Write) -> None:
    event = b'{"text":"' + "Zoë ".encode() * 500_000 + b'"}'
    command = python("import sys; print(len(sys.stdin.buffer.read())); print('e', file=sys.stderr)")
    attempt = await ran(command, event=event)
    assert attempt._replace(took_ms=0, answer="") == Attempt(True, 0, status=0)
    assert sorted(attempt.answer.split()) == sorted([str(len(event)), "e"])
    assert attempt.took_ms > 0


async def test_an_exit_code_is_a_problem_that_is_told(python: Write) -> None:
    attempt = await ran(python("print('disk full'); raise SystemExit(3)"))
    assert (attempt.is_delivered, attempt.status) == (False, 3)
    assert attempt.problem == "the command ended with exit code 3"
    assert attempt.answer == "disk full\n"


async def test_a_signal_is_a_problem_that_is_told(python: Write) -> None:
    attempt = await ran(python("import os; os.kill(os.getpid(), 9)"))
    assert (attempt.is_delivered, attempt.status) == (False, -9)
    assert "signal 9 (Killed)" in (attempt.problem or "")


@pytest.mark.parametrize("event", [b"", b"x" * 1_000_000])
async def test_a_command_need_not_read_the_event(event: bytes) -> None:
    attempt = await ran("true", event=event)
    assert (attempt.is_delivered, attempt.answer) == (True, "")


async def test_a_flood_of_output_neither_stops_the_command_nor_is_kept(python: Write) -> None:
    attempt = await ran(python("import os\nfor _ in range(400): os.write(1, b'0123456789' * 8192)"))
    assert attempt.is_delivered
    assert attempt.answer == ("0123456789" * 103)[:ANSWER_BYTES_MAX]


async def test_the_rest_of_the_output_takes_no_memory() -> None:
    output = module._Output()
    for _ in range(3):
        output.data_received(b"x" * 1_000)
    assert output.kept == b"x" * ANSWER_BYTES_MAX


GRANDCHILD = """
import os, signal, subprocess, sys, time
{before}
child = subprocess.Popen([sys.executable, "-c", "import signal, time; {child}; time.sleep(60)"])
print("begun", flush=True)
with open({pids!r}, "w") as file:
    file.write(f"{{os.getpid()}} {{child.pid}}")
time.sleep(60)
"""
TIMEOUTS_S = (2, 10, 40)
"""The later ones for a machine on which a command takes longer to begin."""

IGNORED = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@pytest.mark.parametrize(("before", "child"), [("", "0"), (IGNORED, IGNORED), ("", IGNORED)])
async def test_at_the_time_out_the_command_is_gone_with_all_that_it_started(
    python: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, child: str
) -> None:
    monkeypatch.setattr(module, "_GRACE_S", 0.3)
    pids = tmp_path / "pids"
    command = python(GRANDCHILD.format(before=before, child=child, pids=str(pids)))
    for timeout_s in TIMEOUTS_S:
        attempt = await ran(command, timeout_s=timeout_s)
        assert (attempt.is_delivered, attempt.status) == (False, None)
        if attempt.answer and pids.exists():
            break
    assert attempt.problem == f"the command took longer than {timeout_s} s and was ended"
    assert attempt.answer == "begun\n"
    for pid in map(int, (await wait_for(pids)).split()):
        await gone(pid)


async def gone(pid: int) -> None:
    async with asyncio.timeout(60):
        while is_alive(pid):
            await asyncio.sleep(0.02)


async def test_the_command_is_asked_before_it_is_made_to_end(
    python: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GRACE_S", 60)
    command = python(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('tidied', flush=True), sys.exit(0)))\n"
        "time.sleep(60)"
    )
    for timeout_s in TIMEOUTS_S:
        attempt = await ran(command, timeout_s=timeout_s)
        assert not attempt.is_delivered
        if attempt.answer:
            break
    assert attempt.answer == "tidied\n"
    assert attempt.took_ms < timeout_s * 1000 + 30_000


async def test_a_cancelled_command_is_gone_with_all_that_it_started(
    python: Write, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    command = python(GRANDCHILD.format(before="", child="0", pids=str(pids)))
    task = asyncio.create_task(ran(command))
    begun = await wait_for(pids)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for pid in map(int, begun.split()):
        await gone(pid)


async def test_who_is_cancelled_twice_still_leaves_nobody_behind(
    python: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GRACE_S", 60)
    pids = tmp_path / "pids"
    command = python(GRANDCHILD.format(before=IGNORED, child=IGNORED, pids=str(pids)))
    task = asyncio.create_task(ran(command))
    begun = await wait_for(pids)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.1)
    with pytest.raises(asyncio.CancelledError):
        await task
    for pid in map(int, begun.split()):
        await gone(pid)


async def test_what_a_command_leaves_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    left = tmp_path / "left"
    started_s = time.monotonic()
    attempt = await ran(f"sh -c 'sleep 30 & echo $! > {left}; echo done'")
    assert (attempt.is_delivered, attempt.answer) == (True, "done\n")
    assert time.monotonic() - started_s < 15
    pid = int(left.read_text())
    assert is_alive(pid)
    os.kill(pid, 9)


async def test_the_environment_holds_nothing_of_ours(
    python: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLECTOR_ADMIN_KEY", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    command = python("import os; print(*sorted(os.environ)); print(os.environ['EDGES_RUN_UID'])")
    given = {"EDGES_EVENT_TYPE": "run.failed", "EDGES_RUN_UID": "a\0b\ud800c=d"}
    attempt = await LocalCommand(command, 20).run(EVENT, given)
    names, run_uid = attempt.answer.splitlines()
    assert set(names.split()) <= {*module._INHERITED, *given, "LC_CTYPE"}
    assert {"PATH", *given} <= set(names.split())
    assert run_uid == "a?b?c=d"


async def test_a_value_of_any_length_does_not_keep_the_command_from_starting() -> None:
    given = {"EDGES_RUN_UID": "é" * 1_000_000}
    assert (await LocalCommand("true", 20).run(EVENT, given)).is_delivered


@pytest.mark.parametrize(
    ("program", "reason"),
    [("/no/such/program", "No such file"), ("/etc/passwd", "Permission denied")],
)
async def test_a_program_that_cannot_be_started_is_a_problem(program: str, reason: str) -> None:
    attempt = await ran(program)
    assert (attempt.is_delivered, attempt.status) == (False, None)
    assert "could not be started" in (attempt.problem or "")
    assert reason in (attempt.problem or "")


async def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    file = tmp_path / "x"
    attempt = await ran(f"echo $HOME '*' \"a b\" > {file}; true")
    assert attempt.answer == f"$HOME * a b > {file}; true\n"
    assert not written(file)


@pytest.mark.parametrize("command", ["", "  ", "echo 'open", "a\0b"])
async def test_what_is_no_command_is_refused(command: str) -> None:
    with pytest.raises(ValueError, match=r"empty|quotation|NUL"):
        LocalCommand(command, 1)


async def test_nothing_is_left_open() -> None:
    await ran("true")
    before = open_files()
    for command in ("true", "false", "/no/such/program", "sleep 5"):
        await ran(command, timeout_s=0.5)
    await asyncio.sleep(0.05)
    assert open_files() <= before
