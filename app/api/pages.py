"""Pages of lists, and downloads: the two ways a set of rows is answered."""

from collections.abc import AsyncIterator, Mapping, Sequence
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.api.parameters import Parameters
from app.canonical import Json, dumps
from app.export.formats import FORMATS, Shape, Writer

SHAPES: tuple[Shape, ...] = ("flat", "record")


def answer(value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(dumps(value), status, headers, "application/json")


def page(request: Request, data: Sequence[Json], next_cursor: str | None) -> Response:
    """A page of a list, with the way to the next one in the body and as a Link."""
    headers = {}
    if next_cursor is not None:
        url = request.url.include_query_params(cursor=next_cursor)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return answer({"data": list(data), "next_cursor": next_cursor}, headers=headers)


def chosen_format(request: Request, parameters: Parameters) -> type[Writer] | None:
    """The file format that a download is asked in; None if a page is asked for.

    `?format=` counts before the Accept header, of which only formats named outright count.
    """
    name = parameters.choice("format", list(FORMATS))
    if name is not None:
        return FORMATS[name]
    accepted = [
        part.partition(";")[0].strip() for part in request.headers.get("accept", "").split(",")
    ]
    for media_type in accepted:
        for writer in FORMATS.values():
            named = writer.media_type.partition(";")[0]
            if media_type == named and media_type != "application/json":
                return writer
    return None


def chosen_shape(parameters: Parameters, writer: type[Writer]) -> Shape:
    """The shape of a download's rows."""
    name = parameters.choice("shape", SHAPES)
    return next((shape for shape in SHAPES if shape == name), writer.shape)


def download(content: AsyncIterator[bytes], writer: type[Writer], name: str) -> Response:
    """A file, streamed. If the content breaks off, so does the connection: never a whole file."""
    file_name = f"{name}.{writer.extension}"
    return StreamingResponse(
        content,
        media_type=writer.media_type,
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file_name, safe='')}",
            "X-Content-Type-Options": "nosniff",
        },
    )
