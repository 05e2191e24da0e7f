"""How a command says that it failed."""

import sys
from typing import NoReturn


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what went wrong on stderr, and end with `code` (1 failed, 2 called wrongly)."""
    sys.stderr.write(f"edges-collector: {message}\n")
    sys.exit(code)
