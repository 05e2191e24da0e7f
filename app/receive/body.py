"""A request's body, bounded while it is read and, if compressed, while it is inflated."""

import zlib
from collections.abc import Mapping

from starlette.types import Receive


class BodyTooLargeError(Exception):
    """The body is over the bound, as announced or as it came."""


class UnsupportedEncodingError(Exception):
    """The body has a content encoding other than gzip."""


class BrokenBodyError(Exception):
    """The gzip stream is damaged or cut off."""


class SenderGoneError(Exception):
    """The sender hung up before its body was whole: there is nobody to answer."""


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], bytes_max: int) -> bytes:
    """The whole body, inflated, of at most `bytes_max` bytes.

    Raises BodyTooLargeError, UnsupportedEncodingError, BrokenBodyError or SenderGoneError.
    """
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > bytes_max:
        raise BodyTooLargeError
    encoding = headers.get(b"content-encoding", b"").strip().lower()
    if encoding not in (b"", b"identity", b"gzip"):
        raise UnsupportedEncodingError(encoding.decode("latin-1"))
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise SenderGoneError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > bytes_max:
            raise BodyTooLargeError
        chunks.append(chunk)
        more = message.get("more_body", False)
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    return _inflated(body, bytes_max) if encoding == b"gzip" else body


def _inflated(body: bytes, bytes_max: int) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    try:
        data = inflater.decompress(body, bytes_max + 1)
    except zlib.error as error:
        raise BrokenBodyError(f"damaged gzip data: {error}") from error
    if len(data) > bytes_max:
        raise BodyTooLargeError
    if not inflater.eof or inflater.unused_data:
        raise BrokenBodyError("the gzip data is cut off, or followed by something else")
    return data
