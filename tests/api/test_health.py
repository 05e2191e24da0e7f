"""Health, metrics and the API's own documents."""

import re

from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families

from app.api.application import ROUTES
from app.api.openapi import document
from tests.callbacks import sent
from tests.collector_process import CollectorProcess
from tests.databases import locked


def test_readiness_gives_a_reason_for_each_check(shared_collector: CollectorProcess) -> None:
    answer = shared_collector.http.get("/readyz")
    assert answer.status_code == 200
    checks = answer.json()["checks"]
    assert set(checks) == {
        *("accepting", "worker", "store", "projection"),
        *("reconciliation", "callback channel", "endpoints"),
    }
    assert all(check["ok"] and check["detail"] for check in checks.values())
    assert "COLLECTOR_EDGES_API_KEY" in checks["reconciliation"]["detail"]


def test_liveness_does_not_ask_the_store(collector: CollectorProcess) -> None:
    with locked(collector.env):
        assert collector.http.get("/healthz").text == "ok\n"


def test_metrics_count_what_came(collector: CollectorProcess) -> None:
    collector.send(sent("c1"))
    collector.send(sent("c1"))
    collector.send(b"{}")
    collector.wait_until_projected()
    text = collector.http.get("/metrics").text
    values = {
        (sample.name, sample.labels.get("outcome", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    for outcome in ("stored", "duplicate", "quarantined"):
        assert values["edges_collector_callbacks_total", outcome] == 1
    assert values["edges_collector_projection_lag_callbacks", ""] == 0
    assert values["edges_collector_quarantined", ""] == 1


def test_the_openapi_document_is_valid_and_served(shared_collector: CollectorProcess) -> None:
    served = shared_collector.http.get("/openapi.json").json()
    validate(served)
    assert served == document(ROUTES)


def test_every_route_is_documented() -> None:
    undocumented = {"/openapi.json", "/docs", "/docs/{name}"}
    routes = {re.sub(r":\w+}", "}", route.path) for route in ROUTES}
    documented = set(document(ROUTES)["paths"])
    assert routes - undocumented <= documented
    assert documented - routes == {"/callbacks", "/callbacks/{token}"}


def test_the_docs_page_asks_nobody_else(shared_collector: CollectorProcess) -> None:
    page = shared_collector.http.get("/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "://" not in page.text
    for path in re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text):
        asset = shared_collector.http.get(f"/{path}")
        assert asset.status_code == 200, path
        assert asset.content
    assert shared_collector.http.get("/docs/other.js").status_code == 404


def test_a_request_id_is_given_and_taken(shared_collector: CollectorProcess) -> None:
    assert shared_collector.http.get("/healthz").headers["x-request-id"]
    given = shared_collector.http.get("/healthz", headers={"X-Request-ID": "abc-1"})
    assert given.headers["x-request-id"] == "abc-1"
    odd = shared_collector.http.get("/healthz", headers={"X-Request-ID": 'a "b"'})
    assert odd.headers["x-request-id"] != 'a "b"'
