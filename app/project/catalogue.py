"""The catalogue of a run's fields: which there are, and what kinds of values they have held.

Most objects have the keys and types of those before them. Such an outline is looked into once:
after that, only what may still bring something new is looked at again, such as what is in
lists, or a text where all so far were times.
"""

from collections.abc import Callable

from app.canonical import Json
from app.fields import DEPTH_MAX, escaped, plain
from app.kinds import EXACT_MAX, WITHIN, Kinds, Path, is_time, kind_of, path_name

OUTLINES_MAX = 20_000
"""Of one run, some 1 KB each; where there are more, each is looked into anew."""

# As plain numbers, since the operators of flags take longer than all else here.
_TEXT, _TIME, _BIG = int(Kinds.TEXT), int(Kinds.TIME), int(Kinds.BIG_INTEGER)
_LIST, _OBJECT, _DEEP, _SMALL = (
    int(kind) for kind in (Kinds.LIST, Kinds.OBJECT, Kinds.DEEP, Kinds.SMALL_INTEGER)
)
_ONLY_TEXTS = {str}


class Catalogue:
    """What is known of one run's fields."""

    def __init__(self) -> None:
        self.outlines = 0
        self._news: dict[tuple[str, str], Kinds] = {}
        self._roots: dict[str, _Place] = {}

    def see(self, section: str, value: Json) -> None:
        """Note a value of a section: a result (`data`), an `input` or a `custom_data`."""
        root = self._roots.get(section)
        if root is None:
            root = self._roots[section] = _Place(self, section, (), None, DEPTH_MAX)
        if value.__class__ is dict:
            root.see_object(value)
        elif value is not None:
            root.member("value").see(value)

    def note(self, section: str, name: str, kinds: Kinds) -> None:
        """Take in something new."""
        key = section, name
        self._news[key] = self._news.get(key, kinds) | kinds
        if section == "custom_data" and (searched := plain(name)) != name:
            # Searched by what `lookup_values` calls it.
            self._news["custom_paths", searched] = Kinds(0)

    def take_news(self) -> dict[tuple[str, str], Kinds]:
        """What was not known at the last time, as `app.store.rows.Changes.fields`."""
        news, self._news = self._news, {}
        return news


class _Place:
    """A field, or a place within lists, and the objects that were there."""

    __slots__ = (
        "_catalogue",
        "_depth",
        "_kinds",
        "_looks",
        "_members",
        "_name",
        "_path",
        "_section",
    )

    def __init__(
        self, catalogue: Catalogue, section: str, path: Path, name: str | None, depth: int
    ) -> None:
        """`path` is that within lists; empty for a field, called `name`, and for a whole value."""
        self._catalogue = catalogue
        self._section = section
        self._path = path
        self._name = name
        self._depth = depth
        self._kinds = 0
        self._members: dict[str | None, _Place] = {}
        self._looks: dict[_Outline, list[tuple[int, _Place, _Look]]] = {}

    def see(self, value: Json) -> bool:
        """Note a value; whether another one of its type may bring something new."""
        return _LOOKS[value.__class__](self, value)

    def see_object(self, value: dict[str, Json]) -> None:
        """Note the members of an object."""
        values = tuple(value.values())
        outline = (tuple(value), tuple(map(type, values)))
        looks = self._looks.get(outline)
        if looks is None:
            if self._catalogue.outlines >= OUTLINES_MAX:
                for key, item in value.items():
                    self.member(key).see(item)
                return
            self._catalogue.outlines += 1
            looks = self._looks[outline] = [
                (number, self.member(key), _LOOKS[kind])
                for number, (key, kind) in enumerate(zip(*outline, strict=True))
            ]
        if looks:
            left = [one for one in looks if one[2](one[1], values[one[0]])]
            if len(left) < len(looks):
                self._looks[outline] = left

    def member(self, key: str | None) -> "_Place":
        """Where the values of a key are; None for the items of a list."""
        found = self._members.get(key)
        if found is None:
            path, name = self._path, self._name
            if path or key is None:
                path = (*(path or (name,)), key)
            else:
                name = escaped(key) if name is None else f"{name}.{escaped(key)}"
            depth = DEPTH_MAX - 1 if key is None and not self._path else self._depth - 1
            found = _Place(self._catalogue, self._section, path, name, depth)
            self._members[key] = found
        return found

    def note(self, kinds: int) -> None:
        """Take in what a value is, if that is new."""
        if kinds & ~self._kinds:
            self._kinds |= kinds
            if self._path:
                section, name = self._section + WITHIN, path_name(self._path)
            else:
                section, name = self._section, self._name or ""
            self._catalogue.note(section, name, Kinds(kinds))

    # -------------------------------- looks: whether another may bring something new

    def see_plain(self, value: Json) -> bool:
        """Note what is alike whatever its value is."""
        self.note(int(kind_of(value)))
        return False

    def see_text(self, text: str) -> bool:
        """Note a text: one that is no time says all."""
        if self._kinds & _TEXT == _TEXT:
            return False
        self.note(_TIME if is_time(text) else _TEXT)
        return self._kinds & _TEXT != _TEXT

    def see_integer(self, value: int) -> bool:
        """Note a number by its size."""
        if self._kinds & _SMALL and -EXACT_MAX <= value <= EXACT_MAX:
            return True
        self.note(int(kind_of(value)))
        return self._kinds & _BIG != _BIG

    def see_list(self, items: list[Json]) -> bool:
        """Note a list and what is in it."""
        if self._path and self._depth <= 0:
            self.note(_DEEP)
            return False
        if not self._kinds & _LIST:
            self.note(_LIST)
        if items:
            place = self.member(None)
            if place._kinds & _TEXT == _TEXT and set(map(type, items)) == _ONLY_TEXTS:  # noqa: SLF001
                return True
            for item in items:
                _LOOKS[item.__class__](place, item)
        return True

    def see_dict(self, value: dict[str, Json]) -> bool:
        """Note an object: a field's opens up into fields, as in `app.fields.flatten`."""
        if value and self._depth <= 0:
            self.note(_DEEP)
        else:
            if not self._kinds & _OBJECT and (self._path or not value):
                self.note(_OBJECT)
            if value:
                self.see_object(value)
        return True


_Outline = tuple[tuple[str, ...], tuple[type, ...]]
_Look = Callable[[_Place, Json], bool]
_LOOKS: dict[type, _Look] = {
    type(None): _Place.see_plain,
    bool: _Place.see_plain,
    float: _Place.see_plain,
    str: _Place.see_text,
    int: _Place.see_integer,
    list: _Place.see_list,
    dict: _Place.see_dict,
}
