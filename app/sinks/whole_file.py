"""Files that are there whole or not at all: written beside their place, then put there."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_SUFFIX = ".partial"


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to be written, which is `path` once the block ends well, and nothing otherwise.

    It is on the disk before it gets its name. What somebody who was killed has left is cleared
    away; what others are writing is not. Raises OSError.
    """
    _clear_left(path)
    prefix = f".{path.name[:100]}."
    with tempfile.NamedTemporaryFile(
        prefix=prefix, suffix=_SUFFIX, dir=path.parent, delete=False
    ) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o666 & ~_umask())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _clear_left(path: Path) -> None:
    """Remove what writers of `path` left who are gone: nobody holds it locked."""
    name = path.name[:100]
    for left in path.parent.iterdir() if path.parent.is_dir() else ():
        if left.name.startswith(f".{name}.") and left.name.endswith(_SUFFIX):
            with suppress(OSError), left.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
