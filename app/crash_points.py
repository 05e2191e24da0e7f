"""Named points at which a test can have the process killed, as a power cut would.

`COLLECTOR_CRASH_AT=<name>:<n>` kills it with SIGKILL when the point is reached for the
n-th time. Without the variable a point costs one comparison.
"""

import os
import signal

_name, _, _count = os.environ.get("COLLECTOR_CRASH_AT", "").partition(":")
_left = int(_count or 1)


def reach(name: str) -> None:
    """Note that the point `name` was reached."""
    global _left  # noqa: PLW0603 - one process, one countdown
    if name == _name:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
