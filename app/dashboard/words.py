"""How figures and times read on pages."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from markupsafe import Markup, escape

from app.canonical import Json, dumps

NOTHING = "\N{EN DASH}"
"""For what is not known."""

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def number(value: float | None) -> str:
    """`12,345`; a dash for what is not known."""
    return NOTHING if value is None else f"{value:,}"


def many(count: int, one: str, more: str | None = None) -> str:
    """`1 input`, `2 inputs`; `more` where an s does not do."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def share(part: float, whole: float) -> str:
    """`99.8 %`, never rounded up to all of it or down to nothing."""
    if not whole:
        return NOTHING
    percent = part / whole * 100
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %".replace(".0 %", " %")


def duration(seconds: float) -> str:
    """`45 s`, `3 min`, `2 h 5 min`, `4 d 1 h`: the two largest units."""
    left = max(int(seconds), 0)
    parts = []
    for unit, size in _UNITS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
        elif parts:
            break
    if not parts:
        return f"{left} s"
    return " ".join(parts[:2])


def size(count: float) -> str:
    """Bytes as `512 B`, `1.4 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def moment(text: str | None) -> Markup | str:
    """A time of the API as `2026-11-25 10:04:09`, in UTC."""
    if not text:
        return NOTHING
    shown = _read(text).strftime("%Y-%m-%d %H:%M:%S")
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(text, shown, shown)


def ago(text: str | None) -> Markup | str:
    """A time of the API as `3 min ago`, with the time itself behind it; pages keep it current."""
    if not text:
        return NOTHING
    then = _read(text)
    seconds = (datetime.now(UTC) - then).total_seconds()
    shown = then.strftime("%Y-%m-%d %H:%M:%S")
    said = f"{duration(seconds)} ago" if seconds >= 0 else f"in {duration(-seconds)}"
    return Markup('<time datetime="{}" title="{} UTC" data-ago>{}</time>').format(text, shown, said)


def pretty(value: Json) -> str:
    """JSON over several lines, as people read it."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def cell(value: Json) -> str:
    """A value of a result in a table: texts as they are, the rest as JSON; '' for nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else dumps(value).decode()


def shortened(text: str, characters: int) -> Markup:
    """A text of at most so many characters, with all of it behind it."""
    if len(text) <= characters:
        return escape(text)
    return Markup('<span title="{}">{}…</span>').format(text[:2_000], text[: characters - 1])


def path_part(text: str) -> str:
    """A text as one part of a path, whatever is in it."""
    return quote(text, safe="")


def path_with(path: str, query: Mapping[str, str | None]) -> str:
    """A path with a query, without what is empty in it."""
    given = urlencode({name: value for name, value in query.items() if value})
    return f"{path}?{given}" if given else path


def _read(text: str) -> datetime:
    return datetime.fromisoformat(text)


FILTERS = {
    "number": number,
    "many": many,
    "duration": duration,
    "size": size,
    "moment": moment,
    "ago": ago,
    "pretty": pretty,
    "cell": cell,
    "shortened": shortened,
    "path_part": path_part,
}
