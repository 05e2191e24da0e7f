"""`edges-collector rebuild`: derive runs, inputs and counts again from the log."""

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from app.canonical import allow_deep_nesting
from app.cli.failures import fail
from app.cli.progress import bars
from app.cli.settings import load_settings
from app.project.rebuild import rebuild as rebuild_projection
from app.store.database import opened_for_rebuild
from app.store.protocol import NoLogError, StoreError


def rebuild(
    *,
    data_dir: Annotated[Path | None, Parameter(help="Folder of the database.")] = None,
    as_json: Annotated[bool, Parameter(name="--json", help="Say the outcome as JSON.")] = False,
) -> None:
    """Derive runs, inputs, results and counts again from the callback log.

    Nothing is lost and nobody waits: the new state replaces the old one in one step.

    Example: edges-collector rebuild --data-dir ./data
    """
    settings = load_settings(**({} if data_dir is None else {"data_dir": data_dir}))
    allow_deep_nesting()
    try:
        with bars() as bar, opened_for_rebuild(settings) as store:
            done = rebuild_projection(store, settings, bar("rebuilding"))
    except StoreError as error:
        fail(str(error), code=2 if isinstance(error, NoLogError) else 1)
    if as_json:
        sys.stdout.write(json.dumps({"callbacks": done}) + "\n")
    else:
        sys.stdout.write(f"rebuilt from {done:,} callbacks\n")
