"""/docs: the API's page, made of files that ship with the package; no outside request."""

from html import escape
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.api.pages import answer
from app.api.problems import not_found

_FOLDER = "swagger-ui"
_TYPES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "start.js": "text/javascript",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_START = """\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
});
"""


async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    # Types of all answers, which nothing else needs, would take an eighth of the service's start.
    from app.api.openapi import document  # noqa: PLC0415 - as said

    return answer(document(request.app.routes))


async def docs(request: Request) -> Response:
    """The page."""
    del request
    title = escape("Edges collector: API")
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<noscript>This page needs JavaScript; the document is at <a href="openapi.json">openapi.json</a>.
</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})


async def asset(request: Request) -> Response:
    """A file of the page."""
    name = request.path_params["name"]
    if name not in _TYPES:
        raise not_found(f"file {name}")
    if name == "start.js":
        return Response(_START, media_type=_TYPES[name])
    file = files("app.api").joinpath("assets", _FOLDER, name)
    if not file.is_file():
        raise not_found(f"file {name}: the package was built without its browser assets")
    headers = {"Cache-Control": "max-age=86400"}
    return Response(file.read_bytes(), media_type=_TYPES[name], headers=headers)
