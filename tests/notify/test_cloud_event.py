"""The envelope, read by the stock library."""

import json
from datetime import UTC, datetime
from typing import Any

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from app.notify.cloud_event import CONTENT_TYPE, cloud_event

NAMES: dict[str, Any] = {
    "event_id": "0197f0c2-0000-7000-8000-000000000001",
    "event_type": "run.succeeded",
    "source": "https://collector.example/api/v1",
    "subject": "run-1",
    "time_ms": 1_764_000_000_123,
    "data": {"run_uid": "run-1", "counts": {"results": 2}, "action_name": "Zoë <&>"},
}


def test_the_stock_library_reads_the_same_attributes() -> None:
    message = HTTPMessage({"content-type": CONTENT_TYPE}, cloud_event(**NAMES))
    event = from_http_event(message)
    assert isinstance(event, CloudEvent)
    assert event.get_attributes() == {
        "specversion": "1.0",
        "id": NAMES["event_id"],
        "source": NAMES["source"],
        "type": "edges.collector.run.succeeded",
        "subject": "run-1",
        "time": datetime(2025, 11, 24, 16, 0, 0, 123_000, tzinfo=UTC),
        "datacontenttype": "application/json",
    }
    assert event.get_data() == NAMES["data"]


@given(st.integers(0, 253_402_300_799_999))
def test_times_are_exact_to_the_millisecond(time_ms: int) -> None:
    event = JSONFormat().read(None, cloud_event(**{**NAMES, "time_ms": time_ms}))
    moment = event.get_time()
    assert moment is not None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    assert (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000 == time_ms


def test_an_event_that_is_about_no_run_has_no_subject() -> None:
    for subject in (None, ""):
        body = cloud_event(**{**NAMES, "subject": subject})
        assert "subject" not in json.loads(body)
        JSONFormat().read(None, body)


def test_times_are_written_as_everywhere_else() -> None:
    assert json.loads(cloud_event(**NAMES))["time"] == "2025-11-24T16:00:00.123Z"


def test_large_integers_of_senders_stay_exact() -> None:
    body = cloud_event(**{**NAMES, "data": {"id": 2**70}})
    assert json.loads(body)["data"] == {"id": 2**70}
