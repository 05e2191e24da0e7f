"""Keys for one purpose each."""

import pytest

from app.notify.derived_keys import derived_key


def test_a_key_depends_on_the_text_and_the_purpose_alone() -> None:
    key = derived_key("text", "one")
    assert key == derived_key("text", "one")
    assert len({key, derived_key("text", "other"), derived_key("another", "one")}) == 3
    # Sealed secrets must open after an upgrade, so this never changes.
    assert derived_key("text", "sealing of secrets").hex() == (
        "ab086ee879cabc56d5b2c6eac04038dbe5932315cd083fe208a101a40c3465be"
    )


def test_an_empty_text_is_no_secret() -> None:
    with pytest.raises(ValueError, match="COLLECTOR_SECRET_KEY is empty"):
        derived_key("", "one")
