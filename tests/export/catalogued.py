"""The catalogue of some values, as the projection would write it and a reader read it."""

from collections.abc import Iterable

from app.canonical import Json
from app.export.records import Result
from app.project.catalogue import Catalogue
from app.store.views import SECTIONS, Fields


def fields_of(results: Iterable[Result]) -> Fields:
    """The fields of results, and of the inputs that they are of."""
    return fields_in((section, getattr(one, section)) for one in results for section in SECTIONS)


def fields_in(values: Iterable[tuple[str, Json]]) -> Fields:
    """The fields of values, each with its section."""
    catalogue = Catalogue()
    for section, value in values:
        catalogue.see(section, value)
    return Fields.of((*field, kinds) for field, kinds in catalogue.take_news().items())
