"""Programs that are signed in to the dashboard: what needs no browser is quicker without."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from tests.collector_process import CollectorProcess


@contextmanager
def client_with(collector: CollectorProcess, scope: str) -> Iterator[httpx2.Client]:
    """Signed in with a new key of this scope; follows no redirects."""
    made = collector.http.post("/api/v1/keys", json={"name": f"may {scope}", "scopes": [scope]})
    assert made.is_success, made.text
    with httpx2.Client(
        base_url=collector.base_url, trust_env=False, verify=False, timeout=20
    ) as client:
        client.post("/sign-in", data={"key": made.json()["key"]})
        yield client


def csrf_of(page: str) -> str:
    """The token that the forms of a page carry."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]
