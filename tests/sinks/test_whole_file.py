"""Files that are there whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.sinks.whole_file import whole_file

_KILLED = """
import os, signal, sys
from pathlib import Path
from app.sinks.whole_file import whole_file
with whole_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_file_that_broke_off_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("before")

    def write() -> None:
        with whole_file(path) as file:
            file.write(b"half")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        write()
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.csv", "before")]


def test_what_was_left_by_who_was_killed_goes_and_what_is_being_written_stays(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.csv"
    subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with whole_file(path) as first:
        first.write(b"first")
        with whole_file(path) as second:
            second.write(b"second")
            assert len(list(tmp_path.iterdir())) == 2
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]
