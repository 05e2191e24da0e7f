"""Messages that Slack takes, and in which nobody else can speak."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.notify.slack import BLOCK_TEXT_LENGTH_MAX, slack_message
from tests.notify.events import EVENTS, INPUT_FAILED, RUN
from tests.notify.test_words import JSON

LINK = "https://collector.example/api/v1/runs/r/results?expires=1&signature=a-b_c"


def texts(message: dict[str, Any]) -> list[str]:
    """Every text that Slack reads for its markup; checks that blocks are as Slack wants them."""
    found = [message["text"]]
    for block in message["blocks"]:
        parts = [block["text"]] if block["type"] == "section" else block["elements"]
        for part in parts:
            assert part["type"] == "mrkdwn"
            assert part["verbatim"] is True
            assert 1 <= len(part["text"]) <= BLOCK_TEXT_LENGTH_MAX
            found.append(part["text"])
    return found


@pytest.mark.parametrize("event_type", EVENTS)
def test_each_event_is_a_message_with_a_headline_and_a_link(event_type: str) -> None:
    message = json.loads(slack_message(event_type, EVENTS[event_type], link=LINK))
    first, *_, last = texts(message)[1:]
    assert first == message["text"]
    assert re.match(r":\w+: [A-Z]", first)
    assert last == f"<{LINK.replace('&', '&amp;')}|Open in the collector>"


def test_a_message_reads_like_this() -> None:
    message = json.loads(slack_message("input.failed", INPUT_FAILED, link=None))
    assert message == {
        "text": ":warning: An input of run linkedin-extract-people"
        " (0197f0c2-aaaa-7000-8000-000000000001) failed: NO_ACCESS: The profile is private",
        "blocks": [
            {
                "type": "section",
                "text": {"type": "mrkdwn", "text": message["text"], "verbatim": True},
            },
            {
                "type": "context",
                "elements": [
                    {
                        "type": "mrkdwn",
                        "text": "Run: 0197f0c2-aaaa-7000-8000-000000000001\n"
                        "Action: linkedin-extract-people\n"
                        'Input: {"linkedin_profile_url":"https://www.linkedin.com/in/ada"}\n'
                        'Custom data: {"row_id":7}\n'
                        "Error: NO_ACCESS: The profile is private",
                        "verbatim": True,
                    }
                ],
            },
        ],
    }


@pytest.mark.parametrize(
    "evil",
    [
        "<!channel>",
        "<@U123>",
        "<https://evil.example|your bank>",
        "&lt;!here&gt;",
        "@channel @Here",
    ],
)
def test_text_from_outside_cannot_link_or_call_anyone(evil: str) -> None:
    data = {**RUN, "action_name": evil, "last_error": {"label": evil, "message": evil}}
    for text in texts(json.loads(slack_message("run.failed", data, link=None))):
        assert "<" not in text
        assert ">" not in text
        assert not re.search(r"@(channel|here)", text, re.IGNORECASE)


def test_what_was_escaped_shows_as_it_came() -> None:
    data = {**RUN, "last_error": {"label": "A&B", "message": "1 < 2 &lt; 3"}}
    text = json.loads(slack_message("run.failed", data, link=None))["text"]
    assert text.endswith("failed: A&amp;B: 1 &lt; 2 &amp;lt; 3")


@given(st.sampled_from([*EVENTS, "other"]), JSON, st.text("<>&ab@ \n", max_size=400))
def test_any_data_gives_a_message_that_slack_takes(
    event_type: str, value: object, text: str
) -> None:
    names = {name for data in EVENTS.values() for name in data}
    shapes: list[Any] = [value, dict.fromkeys(names, value), dict.fromkeys(names, text * 20)]
    for data in shapes:
        for part in texts(json.loads(slack_message(event_type, data, link=None))):
            assert not set(part) & set("<>")
            assert not re.search(r"&(?!amp;|lt;|gt;)", part)


def test_an_address_cannot_end_its_link_early() -> None:
    link = "https://collector.example/a|b>c<d e&f=%20#ü"
    last = texts(json.loads(slack_message("run.failed", RUN, link=link)))[-1]
    assert last == (
        "<https://collector.example/a%7Cb%3Ec%3Cd%20e&amp;f=%20#%C3%BC|Open in the collector>"
    )
