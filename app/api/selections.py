"""What is to be made of results, read from the query."""

from app.api.parameters import Parameters
from app.api.problems import ProblemError, bad_parameter
from app.export.chosen_fields import SelectionError
from app.export.distinct import KEEPS, Distinct
from app.export.result_set import Selection

REPEATABLE = ("fields", "omit")
OF_FILES = ("unwind", "distinct_on", "keep", "join")
"""Of no use in pages, which are read one by one: what comes later would change what came."""
PARAMETERS = (*REPEATABLE, *OF_FILES)

JOINS = ("inputs",)


def chosen_selection(parameters: Parameters, *, is_file: bool) -> Selection:
    """What is asked for. Raises a 400 for what does not go together."""
    for name in OF_FILES:
        if parameters.text(name) is not None and not is_file:
            raise bad_parameter(name, "is for downloads alone; ask for one with format")
    for name in REPEATABLE:
        if "" in parameters.all(name):
            raise bad_parameter(name, "is empty")
    on = parameters.text("distinct_on")
    keep = parameters.choice("keep", KEEPS)
    if keep is not None and on is None:
        raise bad_parameter("keep", "says which of several results with the same distinct_on")
    return Selection(
        fields=parameters.all("fields"),
        omit=parameters.all("omit"),
        distinct=None if on is None else Distinct(on, next(k for k in KEEPS if k == (keep or k))),
        unwind=parameters.text("unwind"),
        with_inputs=parameters.choice("join", JOINS) is not None,
    )


def refused(error: SelectionError) -> ProblemError:
    """The answer to what cannot be had."""
    return bad_parameter(error.parameter, str(error))
