"""What is told below the headline."""

from hypothesis import given

from app.notify.facts import FACTS_MAX, Fact, facts
from tests.notify.events import DISABLED, EVENTS, INPUT_FAILED, LOST, RUN
from tests.notify.test_words import JSON


def test_a_run_is_told_with_its_counts() -> None:
    assert facts(RUN) == [
        Fact("Run", "0197f0c2-aaaa-7000-8000-000000000001"),
        Fact("Action", "linkedin-extract-people"),
        Fact("Status", "PARTIAL_SUCCEEDED"),
        Fact("Completeness", "incomplete"),
        Fact("Finished", "2026-11-24T11:00:01.000Z"),
        Fact("Results", "1,188 of 1,200 expected"),
        Fact("Inputs", "300: 288 succeeded, 12 failed"),
        Fact("Error", "LIMIT_REACHED: Daily limit reached"),
        Fact("Error reference", "ref-9"),
    ]


def test_a_failed_input_is_told_with_what_identifies_it() -> None:
    told = dict(facts(INPUT_FAILED))
    assert told["Input"] == '{"linkedin_profile_url":"https://www.linkedin.com/in/ada"}'
    assert told["Custom data"] == '{"row_id":7}'
    assert told["Error"] == "NO_ACCESS: The profile is private"


def test_what_was_lost_is_counted() -> None:
    told = dict(facts(LOST))
    assert (told["Lost results"], told["Lost inputs"]) == ("3", "1")


def test_an_endpoint_is_told_without_its_secrets() -> None:
    assert dict(facts(DISABLED))["Address"] == "https://hooks.slack.com"
    assert "secret" not in repr(facts(DISABLED))


@given(JSON)
def test_any_data_gives_few_lines_with_something_on_each(value: object) -> None:
    names = {name for data in EVENTS.values() for name in data}
    for data in (value, dict.fromkeys(names, value), {"input": {"input": value, "error": value}}):
        told = facts(data)
        assert len(told) <= FACTS_MAX
        assert all(text and text.isprintable() for _, text in told)
