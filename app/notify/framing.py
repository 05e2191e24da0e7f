"""Headers that frame a request: the collector sets them, whatever an endpoint's owner wants."""

from typing import Final

FRAMING_HEADERS: Final = frozenset(
    {
        *("host", "user-agent", "accept-encoding", "content-length", "transfer-encoding"),
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect"),
    }
)
