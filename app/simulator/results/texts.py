"""Results as JSON text: the form in which callbacks, `/outputs` and the truth share them."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import orjson

from app.simulator.results.draws import Draws, base36, serial_of
from app.simulator.results.kinds import kind_of

Json = dict[str, Any]

# What a template is made from: an entity that no run has, so that its serial marks the places.
_TEMPLATE_INPUT: Final = 99_999_999


class ResultTexts:
    """Makes the results of one action.

    With `template_count` they are copies of so many made-up ones, each with identifiers of
    its own: no two are equal, and they are made some ten times as fast.
    """

    def __init__(self, action_name: str, seed: int, template_count: int | None) -> None:
        self._make = kind_of(action_name)
        self._seed = seed
        self._template_count = template_count

    def result(self, input_index: int, entity: int) -> bytes:
        """The `entity`-th result of the input, as compact JSON."""
        if self._template_count is None:
            return orjson.dumps(self._make(Draws(self._seed, input_index, entity)))
        serial = serial_of(self._seed, input_index, entity)
        template = _template(self._make, self._seed, serial % self._template_count)
        key = base36(serial).encode()
        return template % {b"serial": serial, b"key": key, b"KEY": key.upper()}


@cache  # by kind and number of the template; bounded by the knob for how many there are
def _template(make: Callable[[Draws], Json], seed: int, number: int) -> bytes:
    """The text of a made-up result, with places for the identifiers that its serial gives."""
    draws = Draws(seed, _TEMPLATE_INPUT, number)
    places = {str(draws.serial): "%(serial)d", (key := base36(draws.serial)): "%(key)b"}
    places[key.upper()] = "%(KEY)b"
    text = orjson.dumps(make(draws)).decode().replace("%", "%%")
    return re.sub("|".join(places), lambda found: places[found[0]], text).encode()
