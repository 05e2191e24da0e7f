"""What may be set of an endpoint."""

import pytest
from pydantic import ValidationError

from app.notify.endpoint import EndpointConfig, check_headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "elsewhere"},
        {"content-type": "text/plain"},
        {"Expect": "100-continue"},
        {"Accept-Encoding": "gzip"},
        {"webhook-id": "mine"},
        {"X Key": "a"},
        {"": "a"},
        {"X-Key": "a\r\nX-Other: b"},
        {"X-Key": " of the receiver"},
        {"X-Key": "of the receiver "},
        {"X-Key": "\N{PARTY POPPER}"},
        {"X-Key": "x" * 2001},
        {f"X-Key-{number}": "a" for number in range(21)},
    ],
)
def test_headers_that_would_not_be_sent_as_they_are_given_are_refused(
    headers: dict[str, str],
) -> None:
    assert check_headers(headers) is not None


def test_others_are_taken() -> None:
    assert check_headers({"Authorization": "Bearer a=b", "X-Empty": ""}) is None


@pytest.mark.parametrize("name", ["custom_data", "custom_data.", "status", ""])
def test_filters_that_nothing_could_meet_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        EndpointConfig(url="https://example.com", event_types=["*"], filters={name: "a"})
