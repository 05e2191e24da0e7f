"""What is logged, and what never is."""

import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from app.observe import configure_logging


@pytest.fixture
def kept() -> Iterator[None]:
    """Logging as it was, after the test."""
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**config)


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("style", ["json", "console"])
def test_tracebacks_show_no_variables(
    capsys: pytest.CaptureFixture[str], style: Literal["json", "console"]
) -> None:
    configure_logging("info", style)

    def failing(secret: str) -> None:
        raise ValueError(f"of {len(secret)} characters")

    given = "whsec_of-a-receiver"
    try:
        failing(given)
    except ValueError as error:
        structlog.get_logger("api").error("request failed", exc_info=error)
        logging.getLogger("a.library").exception("it failed")
    said = capsys.readouterr().err
    assert said.count("of 19 characters") >= 2
    assert "failing" in said
    assert "whsec_of" not in said
