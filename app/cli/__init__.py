"""The command `edges-collector`: one file for each subcommand, put together here.

Data goes to stdout, progress to stderr and only on a terminal. Exit codes: 0 done,
1 it failed, 2 it was called wrongly, 130 interrupted.
"""

import sys

from cyclopts import App

from app import __version__
from app.memory import collect_rarely

application = App(
    name="edges-collector",
    help="The callback URL for bulk Edges runs: every result once, every failed input, one file.",
    version=__version__,
)
# Imported when called: `serve` should not pay for what `demo` needs.
for name in (
    *("serve", "demo", "simulate", "reconcile", "rebuild", "export", "migrate", "copy", "keys"),
):
    application.command(f"app.cli.{name}:{name}", name=name)


def main() -> None:
    """Run the command that the arguments name."""
    collect_rarely()
    try:
        application()
    except KeyboardInterrupt:
        sys.exit(130)
