"""Taking people out of bodies: what is erased of them, and what stands in its place.

A person is named by a field and a value, such as `linkedin_profile_id` and `ACoAAB…`. Of
these only the field is known here, and a keyed digest of both; so that whoever reads the
database cannot tell who was erased, and no value needs to be kept to keep it out.

The smallest record that names the person goes: an element of a list, or else a whole
result. Objects within objects are one record. Of inputs all goes, with their custom_data
and the words of their error. See `app.erased` for what stands there instead.
"""

import contextlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from app.canonical import Json, canonical, dumps, parse
from app.erased import MARK, digest_of, input_key, mark, marked
from app.model import Arrival, Outcome, Source

FIELD = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.:@-]{0,99}")
"""Names of fields by which people can be erased: what JSON has no need to escape."""

VALUE_LENGTH_MAX = 2_000

_ESCAPED = re.compile(rb"\\u00[2-7]")
"""An escape for what needs none: only a body with one can spell a field's name otherwise."""

_ERROR_KEPT = frozenset(
    {
        "label", "error_label", "code", "name", "scope", "error_scope", "status_code", "status",
        "retryable", "has_failed",
    }
)  # fmt: skip
_INPUTS = ("input", "input_data")
_ERRORS = ("error", "last_error")

_GONE: Any = object()


class Erased(NamedTuple):
    """A body without somebody, and how much of it went."""

    body: bytes
    results: int
    """Those of which anything went."""
    inputs: int


class Admitted(NamedTuple):
    """What is to be logged of a batch of arrivals."""

    arrivals: Sequence[Arrival]
    """Without those of erased runs; bodies without erased people."""
    places: Sequence[int]
    """Where in the batch each was."""
    size: int
    """Of the batch."""
    changed: int
    """Of how many bodies something was taken out."""

    def outcomes(self, found: Sequence[Outcome]) -> list[Outcome]:
        """One for each arrival of the batch. What is of an erased run is told to be a repeat."""
        outcomes = [Outcome.DUPLICATE] * self.size
        for place, outcome in zip(self.places, found, strict=True):
            outcomes[place] = outcome
        return outcomes


def value_digest(key: bytes, field: str, value: str) -> str:
    """What is kept in place of a person's value: HMAC-SHA256, in hex."""
    return hmac.digest(key, f"{field}\0{value}".encode("utf-8", "surrogatepass"), "sha256").hex()


_LOOSE_VALUE = r"""(?:"((?:[^"\\]|\\.)*)|'([^']*)|([^"'&,;\s}\]<]*))"""
"""A value in quotes, which may be cut off, or up to whatever ends one elsewhere."""


class Eraser:
    """Takes the people of some tombstones out of whatever names them."""

    def __init__(self, key: bytes = b"", people: Iterable[tuple[str, str]] = ()) -> None:
        """`people`: field and `value_digest` under `key` of each."""
        self._key = key
        self._digests: dict[str, set[str]] = {}
        for field, digest_text in people:
            self._digests.setdefault(field, set()).add(digest_text)
        self._wanted = [
            (
                f'"{field}"'.encode(),
                re.compile(
                    rb'"%b"\s*:\s*(?:"((?:[^"\\]|\\.)*)"|(-?\d+))' % re.escape(field.encode())
                ),
                field.encode() + b"\0",
                frozenset(map(bytes.fromhex, digests)),
            )
            for field, digests in self._digests.items()
        ]
        self._loose = [
            (field, re.compile(rf"{re.escape(field)}[\"']?\s*[:=]\s*{_LOOSE_VALUE}"))
            for field in self._digests
        ]

    @property
    def is_idle(self) -> bool:
        """Whether it has nobody to look for."""
        return not self._wanted

    def may_change(self, body: bytes) -> bool:
        """Whether it is worth reading a body. Quick, and seldom true in vain."""
        for needle, pattern, head, digests in self._wanted:
            if needle not in body:
                continue
            for text, number in pattern.findall(body):
                if b"\\" in text:  # it may be spelled otherwise
                    return True
                if hmac.digest(self._key, head + (text or number), "sha256") in digests:
                    return True
        return bool(self._wanted) and _ESCAPED.search(body) is not None

    # ------------------------------------------------------------------ bodies

    def body(self, body: bytes, source: str = Source.CALLBACK) -> Erased | None:
        """A log entry's body without them; None if it names none of them."""
        if not self.may_change(body):
            return None
        found = _Found()
        value = parse(body)
        if source == Source.CALLBACK:
            changed = self._callback(value, found)
        else:
            changed = value
            if isinstance(value, dict) and "answer" in value:
                answer = self._answer(value["answer"], source, found)
                if answer is not value["answer"]:
                    changed = value | {"answer": answer} | mark(digest_of(value))
        return None if changed is value else Erased(dumps(changed), found.results, found.inputs)

    def unread(self, body: bytes) -> bytes | None:
        """A body that is no callback, without them; None if it names none of them.

        Of one that cannot be read as JSON nothing stays.
        """
        if self.is_idle:
            return None
        try:
            value = parse(body)
        except (ValueError, RecursionError):
            text = body.decode("utf-8", "replace")
            named = any(
                self._is_named(field, reading)
                for field, pattern in self._loose
                for found_text in pattern.findall(text)
                for reading in _readings("".join(found_text))
            )
            return dumps(mark(digest_of(text))) if named else None
        if not self.may_change(body):
            return None
        if isinstance(value, dict):
            changed = self._callback(value, _Found())
        else:
            changed = self._pruned(value)
            changed = mark(digest_of(value)) if changed is _GONE else changed
        return None if changed is value else dumps(changed)

    def record(self, text: str) -> str | None:
        """A record of our own (JSON), such as an event's data; None if it names none of them."""
        if not self.may_change(text.encode()):
            return None
        value = parse(text.encode())
        changed = self._own(value)
        return None if changed is value else dumps(changed).decode()

    def _callback(self, value: dict[str, Json], found: "_Found") -> dict[str, Json]:
        is_named = self._names(value)
        changed = dict(self._carrier(value, found, is_named=is_named))
        for name, item in value.items():
            if name in ("input", "custom_data", "error", "callback_ref_uid", MARK):
                continue
            if name == "run":
                changed[name] = self._kept(item)
            elif isinstance(item, list):
                results = [self._result(one, found) for one in item]
                if any(one is not other for one, other in zip(results, item, strict=True)):
                    changed[name] = results
            elif isinstance(item, dict):
                changed[name] = self._result(item, found)
            elif is_named:
                changed[name] = None
        if all(changed[name] is item for name, item in value.items()):
            return value
        return changed | mark(digest_of(value))

    def _answer(self, value: Json, source: str, found: "_Found") -> Json:
        if not isinstance(value, list):
            return self._kept(value)
        if source == Source.OUTPUTS:
            changed = [self._result(one, found) for one in value]
        elif source == Source.INPUTS:
            changed = [
                self._kept(self._carrier(one, found)) if isinstance(one, dict) else one
                for one in value
            ]
        else:
            changed = [self._kept(one) for one in value]
        is_same = all(one is other for one, other in zip(changed, value, strict=True))
        return value if is_same else changed

    def _result(self, value: Json, found: "_Found") -> Json:
        pruned = self._pruned(value)
        if pruned is value:
            return value
        found.results += 1
        if isinstance(pruned, dict):
            return pruned | mark(digest_of(value))
        return mark(digest_of(value))  # a list has no place for a mark

    def _carrier(
        self, value: dict[str, Json], found: "_Found", *, is_named: bool = False
    ) -> dict[str, Json]:
        """What carries an input, its custom_data and its error; of these all goes, or nothing."""
        name = next((name for name in _INPUTS if value.get(name) is not None), _INPUTS[0])
        given, custom = value.get(name), value.get("custom_data")
        changed: dict[str, Json] = {}
        if is_named or self._touches(given) or self._touches(custom):
            input_json, custom_json = canonical(given), canonical(custom)
            if given is not None and marked(given) is None:
                changed[name] = mark(input_key(input_json, custom_json))
            if custom is not None and marked(custom) is None:
                changed["custom_data"] = mark(input_key(b"null", custom_json))
            found.inputs += 1
        for error in _ERRORS:
            told = value.get(error)
            if told is not None and (changed or self._touches(told)):
                bare = _bare(told)
                if bare != told:
                    changed[error] = bare
        return value | changed if changed else value

    # ------------------------------------------------------------------- values

    def _names(self, value: Mapping[str, Json]) -> bool:
        """Whether this very object names one of them."""
        for field in self._digests:
            if field in value:
                named = value[field]
                if isinstance(named, int) and not isinstance(named, bool):
                    named = str(named)
                if isinstance(named, str) and self._is_named(field, named):
                    return True
        return False

    def _is_named(self, field: str, value: str) -> bool:
        return value_digest(self._key, field, value) in self._digests[field]

    def _touches(self, value: Json) -> bool:
        return self._pruned(value) is not value

    def _pruned(self, value: Json) -> Json:
        """`value` itself if it names none of them, else without them; `_GONE` if nothing stays."""
        if isinstance(value, dict):
            if self._names(value):
                return _GONE
            changed: dict[str, Json] = {}
            for name, item in value.items():
                if isinstance(item, dict | list):
                    pruned = self._pruned(item)
                    if pruned is _GONE:
                        return _GONE
                    if pruned is not item:
                        changed[name] = pruned
            return value | changed if changed else value
        if isinstance(value, list):
            items = [self._pruned(item) for item in value]
            if all(one is other for one, other in zip(items, value, strict=True)):
                return value
            return [item for item in items if item is not _GONE]
        return value

    def _kept(self, value: Json) -> Json:
        """As `_pruned`, of an object that stays whatever it names; what names somebody is null."""
        if not isinstance(value, dict):
            pruned = self._pruned(value)
            return None if pruned is _GONE else pruned
        changed: dict[str, Json] = {}
        for name, item in value.items():
            if name in self._digests and self._names({name: item}):
                changed[name] = None
            elif isinstance(item, dict | list):
                pruned = self._pruned(item)
                if pruned is not item:
                    is_error = name in _ERRORS
                    changed[name] = _bare(item) if is_error else None if pruned is _GONE else pruned
        return value | changed if changed else value

    def _own(self, value: Json) -> Json:
        """As `_kept`, at every level; an input within it goes with what is said of it."""
        if isinstance(value, list):
            items = [self._own(item) for item in value]
            is_same = all(one is other for one, other in zip(items, value, strict=True))
            return value if is_same else items
        if not isinstance(value, dict):
            return value
        changed = value
        if _is_input_record(value):
            carried = self._carrier(value, _Found())
            if carried is not value:
                changed = carried | {
                    name: None for name in (*_INPUTS, "custom_data") if marked(carried.get(name))
                }
        else:
            inner = {name: self._own(item) for name, item in value.items()}
            if any(inner[name] is not item for name, item in value.items()):
                changed = inner
        return self._kept(changed)


class _Found:
    """How much was erased of one body."""

    def __init__(self) -> None:
        self.results = 0
        self.inputs = 0


def _is_input_record(value: Mapping[str, Json]) -> bool:
    return "custom_data" in value and any(name in value for name in _INPUTS)


def _bare(error: Json) -> Json:
    """An error without its words."""
    if not isinstance(error, dict):
        return {"label": "ERASED"}
    return {name: item for name, item in error.items() if name in _ERROR_KEPT}


class Tombstones:
    """What is erased, and is to stay so: runs by their uid, people by keyed digests."""

    def __init__(
        self, version: int = 0, runs: Iterable[str] = (), eraser: Eraser | None = None
    ) -> None:
        """`version` rises with each change."""
        self.version = version
        self.runs = frozenset(runs)
        self.eraser = eraser or Eraser()

    @property
    def are_none(self) -> bool:
        """Whether nothing needs to be looked at."""
        return not self.runs and self.eraser.is_idle

    def admit(self, arrivals: Sequence[Arrival]) -> Admitted:
        """What of `arrivals` is to be logged, and how."""
        admitted: list[Arrival] = []
        places: list[int] = []
        changed = 0
        for place, arrival in enumerate(arrivals):
            if arrival.run_uid in self.runs:
                continue
            erased = self.eraser.body(arrival.body, arrival.source)
            if erased is not None:
                arrival = arrival._replace(body=erased.body)  # noqa: PLW2901 - it is the same one
                changed += 1
            admitted.append(arrival)
            places.append(place)
        return Admitted(admitted, places, len(arrivals), changed)


def _readings(text: str) -> Iterator[str]:
    """What a value may be that stands in no JSON: as it is, in JSON's escapes, or in a form's."""
    yield text
    if "\\" in text:
        with contextlib.suppress(ValueError):  # where it is cut off
            yield parse(f'"{text}"'.encode())
    if "%" in text or "+" in text:
        yield unquote_plus(text)
