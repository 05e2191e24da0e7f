"""`edges-collector serve`: run the collector."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import uvloop
from cyclopts import Parameter

from app.cli.failures import fail
from app.cli.settings import load_settings
from app.observe import configure_logging
from app.service import serve as run_service
from app.store.protocol import StoreError


def serve(
    *,
    host: Annotated[str | None, Parameter(help="Address to listen on.")] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on.")] = None,
    data_dir: Annotated[Path | None, Parameter(help="Folder of the database and secrets.")] = None,
    role: Annotated[str | None, Parameter(help="all, receive or work.")] = None,
    log_level: Annotated[str | None, Parameter(help="debug, info, warning or error.")] = None,
) -> None:
    """Run the collector until SIGTERM.

    Every setting can also come from the environment, as COLLECTOR_<NAME>.

    Example: edges-collector serve --port 8080 --data-dir ./data
    """
    given = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "role": role,
        "log_level": log_level,
    }
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    configure_logging(settings.log_level, settings.log_format)
    try:
        uvloop.run(run_service(settings))
    except (StoreError, ValueError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error}; is {settings.data_dir} a folder that this user may write?")
    except asyncio.CancelledError:
        sys.exit(130)
