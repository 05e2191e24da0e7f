"""Text of strangers, made fit to be stored, logged and shown in a terminal or a page."""

from typing import Final

# What steers: control characters but for tab and line feed (PostgreSQL takes no NUL, and a
# terminal obeys ESC), and the marks that turn the direction of writing around.
_STEERING: Final = [
    *range(0x09),
    *range(0x0B, 0x20),
    *range(0x7F, 0xA0),
    *(0x200E, 0x200F, 0x2028, 0x2029),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
]
_TABLE: Final = dict.fromkeys(_STEERING, "\ufffd")


def harmless(text: str) -> str:
    """The text with U+FFFD for each character that steers, and plain line feeds."""
    if text.isprintable():
        return text
    return text.replace("\r\n", "\n").translate(_TABLE)
