"""The files that pages load: our own, and those of npm packages that ship with the package."""

import gzip
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

_FOLDERS = {
    "dashboard.css": "browser",
    "dashboard.js": "browser",
    "chart.js": "browser",
    "theme.js": "browser",
    "icon.svg": "browser",
    "htmx.min.js": "assets/htmx",
    "uPlot.iife.min.js": "assets/uplot",
    "uPlot.min.css": "assets/uplot",
}
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_YEAR_S = 365 * 24 * 3_600


class File(NamedTuple):
    """A file, read once."""

    content: bytes
    packed: bytes
    """The same, as gzip."""
    tag: str
    """Changes with the content."""


@cache
def file_of(name: str) -> File | None:
    """A file by name; None if there is none, or the package was built without its assets."""
    if name not in _FOLDERS:
        return None
    file = files("app.dashboard").joinpath(*_FOLDERS[name].split("/"), name)
    if not file.is_file():
        return None
    content = file.read_bytes()
    return File(content, gzip.compress(content, 9, mtime=0), sha256(content).hexdigest()[:12])


def url_of(name: str) -> str:
    """Where pages find a file: another address whenever it changes, so that it can be kept."""
    file = file_of(name)
    return f"/static/{name}?{file.tag}" if file else f"/static/{name}"


async def static(request: Request) -> Response:
    """A file."""
    name = request.path_params["name"]
    file = file_of(name)
    if file is None:
        return Response(f"there is no file {name} here\n", 404, media_type="text/plain")
    headers = {
        "Cache-Control": f"public, max-age={_YEAR_S}, immutable",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    media_type = _TYPES[name.rpartition(".")[2]]
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(file.packed, headers=headers, media_type=media_type)
    return Response(file.content, headers=headers, media_type=media_type)
