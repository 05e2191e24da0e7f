"""The client against a simulated Edges for what is usual, and against servers that misbehave."""

import asyncio
import email.utils
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import orjson
import pytest

from app import observe
from app.reconcile import exchange
from app.reconcile.answers import PageAnswer
from app.reconcile.budget import FairBudget, LocalBudget, LocalLedger
from app.reconcile.client import EdgesClient
from app.reconcile.errors import (
    AnswerShapeError,
    AnswerTooLargeError,
    CursorRefusedError,
    EdgesApiError,
    EdgesRefusedError,
    EdgesUnavailableError,
    ForeignPageError,
    KeyRefusedError,
    NotFoundError,
    OutcomeUnknownError,
)
from app.reconcile.exchange import Retries, Timeouts
from app.simulator import Scenario, SimulatedEdges
from tests.reconcile.misbehaving import KEY, NOTHING, QUICK, answer, client_of, serving

pytestmark = pytest.mark.anyio

RUN = "0b8f1c9e-5b0a-4d3e-9d5f-1f2e3d4c5b6a"
SCENARIO: dict[str, Any] = {"seed": 7, "results_per_input": (1, 5), "page_size": 2}


# ------------------------------------------------------------- the simulated Edges


async def launched(
    edges: SimulatedEdges, inputs: int, overrides: dict[str, Any] | None = None, **body: Any
) -> str:
    """A run that has ended, by its uid."""
    async with httpx2.AsyncClient(headers={"X-API-Key": edges.api_key}, trust_env=False) as api:
        response = await api.post(
            f"{edges.base_url}/actions/linkedin-extract-people/run/async",
            content=orjson.dumps({"inputs": [{"n": n} for n in range(inputs)], **body}),
            headers={"X-Simulator-Scenario": orjson.dumps(overrides or {}).decode()},
        )
        run_uid: str = response.json()["run_uid"]
        url = f"{edges.origin}/_simulator/runs/{run_uid}/truth?inputs=false"
        async with asyncio.timeout(10):
            while not (await api.get(url)).json()["settled"]:
                await asyncio.sleep(0.005)
    return run_uid


async def walk(client: EdgesClient, run_uid: str, page: PageAnswer) -> list[PageAnswer]:
    pages = [page]
    while pages[-1].next_url is not None:
        pages.append(await client.next_page(run_uid, pages[-1].next_url))
    return pages


@pytest.fixture
async def edges() -> AsyncIterator[SimulatedEdges]:
    async with SimulatedEdges(Scenario(**SCENARIO)) as edges:
        yield edges


@pytest.fixture
async def client(edges: SimulatedEdges) -> AsyncIterator[EdgesClient]:
    async with client_of(edges.base_url, api_key=edges.api_key, page_limit=7) as client:
        yield client


async def test_a_run_is_read_and_kept_as_it_came(
    edges: SimulatedEdges, client: EdgesClient
) -> None:
    run_uid = await launched(edges, 10)
    run = await client.run(run_uid)
    assert run.uid == run_uid
    assert run.status == "SUCCEEDED"
    assert run.action_name == "linkedin-extract-people"
    assert run.output_count == orjson.loads(run.body)["output_count"]
    assert run.last_error is None
    assert run.fields == orjson.loads(run.body)


@pytest.mark.parametrize("of", ["inputs", "outputs"])
async def test_pages_lead_from_the_first_to_the_last(
    edges: SimulatedEdges, client: EdgesClient, of: Any
) -> None:
    run_uid = await launched(edges, 30)
    run = await client.run(run_uid)
    pages = await walk(client, run_uid, await client.first_page(run_uid, of))
    assert [page.count for page in pages] == [len(orjson.loads(page.body)) for page in pages]
    assert sum(page.count for page in pages) == (30 if of == "inputs" else run.output_count)
    assert len(pages) > 2
    assert pages[0].limit == 7
    assert pages[0].records is None


async def test_failed_callbacks_are_listed_page_by_page_and_replayed(
    edges: SimulatedEdges, client: EdgesClient
) -> None:
    callback = {"url": "http://127.0.0.1:9/nobody", "headers": {}, "on": "all"}
    run_uid = await launched(edges, 60, {"drop_share": 1.0, "page_size": 1}, callback=callback)
    first = await client.failed_callbacks(run_uid, offset=0)
    assert first.count == first.limit == first.next_offset == 100
    assert first.next_url is not None
    assert first.records is not None
    assert {record.status for record in first.records} == {"FAILED"}
    assert {record.run_uid for record in first.records} == {run_uid}
    last = await client.failed_callbacks(run_uid, offset=100)
    assert last.next_url is None
    assert last.next_offset is None
    assert last.count < 100
    followed = await client.next_page(run_uid, first.next_url)
    assert followed.body == last.body
    original = first.records[0]
    assert original.uid is not None
    copy = await client.replay(run_uid, original.uid)
    assert copy.parent_uid == original.uid
    assert copy.uid != original.uid
    assert copy.fields == orjson.loads(copy.body)


async def test_what_edges_refuses_is_told_in_its_words(
    edges: SimulatedEdges, client: EdgesClient
) -> None:
    run_uid = await launched(edges, 1)
    with pytest.raises(NotFoundError, match="archived after 90 days") as unknown:
        await client.run(RUN)
    assert unknown.value.status == 404
    with pytest.raises(EdgesRefusedError, match="cannot be cancelled") as refused:
        await client.act(run_uid, "cancel")
    assert refused.value.status == 400
    assert refused.value.error["label"] == "BAD_PARAMETERS"
    with pytest.raises(CursorRefusedError, match="begin again at the first"):
        await client.next_page(run_uid, f"{edges.base_url}/runs/{run_uid}/outputs?cursor=old")
    async with client_of(edges.base_url, api_key="another") as stranger:
        with pytest.raises(KeyRefusedError, match="COLLECTOR_EDGES_API_KEY"):
            await stranger.run(run_uid)


async def test_a_run_that_still_goes_is_cancelled_and_resumed(
    edges: SimulatedEdges, client: EdgesClient
) -> None:
    run_uid = await launched(edges, 1)
    assert [record.uid for record in (await client.runs(offset=0)).records or ()] == [run_uid]
    page = await client.runs(offset=0, status="RUNNING")
    assert (page.count, page.next_url) == (0, None)


async def test_faults_and_limits_of_the_api_cost_time_and_nothing_else() -> None:
    scenario = Scenario(
        **SCENARIO,
        error_share_5xx=0.15,
        cut_share=0.15,
        requests_per_minute=20,
        rate_window_s=0.5,
    )
    async with SimulatedEdges(scenario) as edges:
        patient = Retries(attempts=8, wait_first_s=0.01, wait_max_s=0.05, jitter_s=0.01)
        async with client_of(
            edges.base_url, api_key=edges.api_key, page_limit=2, retries=patient
        ) as client:
            run_uid = await launched_despite_faults(edges)
            pages = await walk(client, run_uid, await client.first_page(run_uid, "inputs"))
    assert sum(page.count for page in pages) == 20


async def launched_despite_faults(edges: SimulatedEdges) -> str:
    async with httpx2.AsyncClient(headers={"X-API-Key": edges.api_key}, trust_env=False) as api:
        url = f"{edges.base_url}/actions/linkedin-extract-people/run/async"
        async with asyncio.timeout(10):
            while True:
                try:
                    response = await api.post(url, json={"inputs": [{"n": n} for n in range(20)]})
                except httpx2.TransportError:
                    continue
                if response.status_code == 200:
                    return str(response.json()["run_uid"])


# --------------------------------------------------------------- servers that misbehave


async def test_an_answer_that_is_cut_is_asked_for_again() -> None:
    page = [{"n": n} for n in range(100)]
    cut = answer(page, cut_at=50)
    async with serving([cut, NOTHING, answer(page)]) as server:
        async with client_of(server.base_url) as client:
            assert (await client.first_page(RUN, "outputs")).count == 100
        assert len(server.asked) == 3


async def test_an_answer_that_is_cut_at_a_number_is_not_taken_for_whole() -> None:
    async with (
        serving([answer([1, 2, 345], cut_at=8)]) as server,
        client_of(server.base_url) as client,
    ):
        with pytest.raises(EdgesUnavailableError, match="cut"):
            await client.first_page(RUN, "outputs")


async def test_a_proxys_page_is_no_answer() -> None:
    html = b"<html><body>Bad gateway</body></html>"
    for said in (answer(html, 502), answer(html, 200)):
        async with serving([said]) as server, client_of(server.base_url) as client:
            with pytest.raises(EdgesUnavailableError, match="html"):
                await client.run(RUN)
            assert len(server.asked) == QUICK.attempts
        async with (
            serving([said, answer({"uid": RUN})]) as server,
            client_of(server.base_url) as client,
        ):
            assert (await client.run(RUN)).uid == RUN


async def test_a_page_that_is_no_array_says_which_page_of_which_run() -> None:
    async with (
        serving([answer({"data": [], "total": 3})]) as server,
        client_of(server.base_url) as client,
    ):
        with pytest.raises(AnswerShapeError, match=f"runs/{RUN}/outputs.*keys data, total"):
            await client.first_page(RUN, "outputs")
        with pytest.raises(AnswerShapeError, match=f"runs/{RUN}/inputs.cursor=7.*object"):
            await client.next_page(RUN, f"{server.base_url}/runs/{RUN}/inputs?cursor=7")
        assert len(server.asked) == 2


async def test_a_run_that_is_an_array_is_no_run() -> None:
    async with serving([answer([])]) as server, client_of(server.base_url) as client:
        with pytest.raises(AnswerShapeError, match="an array"):
            await client.run(RUN)


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1/runs/x/outputs",
        "//evil.example/v1/runs/x/outputs",
        "http://127.0.0.1:1/v1/runs/x/outputs",
        "{https}/v1/runs/x/outputs",
        "{origin}/v2/runs",
        "{origin}/v1evil/runs",
        "{origin}/v1/../admin",
        "{origin}/v1/%2e%2e/admin",
        "{origin}/v1/..%2fadmin",
        "{origin}\\@evil.example/v1/runs",
        "http://user:pass@{host}/v1/runs",
        "http://[::1",
        "file:///etc/passwd",
        "{origin}/v1/" + "x" * 10_000,
    ],
)
async def test_a_next_page_elsewhere_is_not_followed(link: str) -> None:
    async with serving([answer([])]) as server, client_of(server.base_url) as client:
        host = f"127.0.0.1:{server.port}"
        url = link.replace("{origin}", server.origin).replace("{host}", host)
        url = url.replace("{https}", f"https://{host}")
        server.answers = [answer([1], headers={"X-Pagination-Next": url})]
        page = await client.first_page(RUN, "outputs")
        assert page.next_url is not None
        asked = len(server.asked)
        with pytest.raises(ForeignPageError, match="not followed") as foreign:
            await client.next_page(RUN, page.next_url)
        assert len(server.asked) == asked
        assert foreign.value.host in str(foreign.value)
        if "evil.example" in link:
            assert foreign.value.host == "evil.example"


@pytest.mark.parametrize(
    "link",
    [
        "{origin}/v1/runs/x/outputs?cursor=2",
        "/v1/runs/x/outputs?cursor=2",
        "runs/x/outputs?cursor=2",
        "?cursor=2",
    ],
)
async def test_a_next_page_of_the_same_api_is_followed(link: str) -> None:
    async with serving([answer([])]) as server, client_of(server.base_url) as client:
        url = link.replace("{origin}", server.origin)
        server.answers = [answer([1], headers={"x-pagination-next": url}), answer([2])]
        page = await client.first_page("x", "outputs")
        assert page.next_url is not None
        assert (await client.next_page("x", page.next_url)).next_url is None
        assert server.asked[1] == "GET /v1/runs/x/outputs?cursor=2"


async def test_a_page_that_leads_to_itself_is_an_error() -> None:
    link = {"X-Pagination-Next": f"/v1/runs/{RUN}/inputs?cursor=1"}
    async with serving([answer([1], headers=link)]) as server, client_of(server.base_url) as client:
        page = await client.first_page(RUN, "inputs")
        assert page.next_url is not None
        with pytest.raises(AnswerShapeError, match="itself"):
            await client.next_page(RUN, page.next_url)


async def test_a_redirect_is_not_followed_and_the_key_stays_here() -> None:
    async with serving([answer([])]) as elsewhere:
        location = {"Location": f"{elsewhere.base_url}/runs/{RUN}"}
        async with (
            serving([answer(b"", 307, location)]) as server,
            client_of(server.base_url) as client,
        ):
            with pytest.raises(EdgesRefusedError, match="redirects") as refused:
                await client.run(RUN)
            assert refused.value.status == 307
            assert f"X-API-Key: {KEY}".lower() in server.heads[0].lower()
            assert KEY not in str(refused.value)
        assert elsewhere.asked == []


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving([answer(b"", 500)]) as proxy, serving([answer({"uid": RUN})]) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.origin)
        monkeypatch.setenv("ALL_PROXY", proxy.origin)
        async with client_of(server.base_url) as client:
            assert (await client.run(RUN)).uid == RUN
        assert proxy.asked == []


async def test_cookies_are_not_kept() -> None:
    cookie = {"Set-Cookie": "sticky=yes; Path=/"}
    async with (
        serving([answer({"uid": RUN}, headers=cookie)]) as server,
        client_of(server.base_url) as client,
    ):
        await client.run(RUN)
        await client.run(RUN)
        assert "cookie" not in server.heads[1].lower()


@pytest.mark.parametrize("key", ["", "a b", "secret\n", "schlüssel"])
async def test_a_key_that_no_header_may_carry_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="COLLECTOR_EDGES_API_KEY") as refused:
        EdgesClient("http://127.0.0.1/v1", key, budget=LocalBudget())
    assert not key.strip() or key.strip() not in str(refused.value)


async def test_an_answer_that_is_too_large_is_broken_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "ANSWER_BYTES_MAX", 100_000)
    page = [{"text": "x" * 1000}] * 1000
    for gzipped in (False, True):
        async with (
            serving([answer(page, gzipped=gzipped)]) as server,
            client_of(server.base_url) as client,
        ):
            with pytest.raises(AnswerTooLargeError, match="ask for fewer"):
                await client.first_page(RUN, "outputs")
            assert len(server.asked) == 1


async def test_compressed_answers_are_inflated() -> None:
    page = [{"text": "x" * 1000}] * 1000
    async with (
        serving([answer(page, gzipped=True)]) as server,
        client_of(server.base_url) as client,
    ):
        assert (await client.first_page(RUN, "outputs")).body == orjson.dumps(page)


async def test_a_server_that_does_not_answer_is_given_up() -> None:
    slow = answer({"uid": RUN}, delay_s=5)
    for timeouts in (Timeouts(read_s=0.05), Timeouts(total_s=0.05)):
        async with (
            serving([slow]) as server,
            client_of(server.base_url, timeouts=timeouts) as client,
        ):
            with pytest.raises(EdgesUnavailableError):
                await client.run(RUN)
            assert len(server.asked) == QUICK.attempts


async def test_a_server_that_is_not_there_is_unavailable_and_no_outcome_is_in_doubt() -> None:
    async with serving([NOTHING]) as server:
        base_url = server.base_url
    async with client_of(base_url) as client:
        with pytest.raises(EdgesUnavailableError, match="ConnectError"):
            await client.run(RUN)
        with pytest.raises(EdgesUnavailableError, match="ConnectError"):
            await client.act(RUN, "resume")


@pytest.mark.parametrize("as_date", [False, True])
async def test_retry_after_is_obeyed_in_seconds_and_as_a_date(*, as_date: bool) -> None:
    # A date has whole seconds, so that what is left of the next two is at least one.
    after = email.utils.formatdate(time.time() + 2, usegmt=True) if as_date else "1"
    refused = answer({"error_label": "STATUS_429"}, 429, {"Retry-After": after})
    async with (
        serving([refused, answer({"uid": RUN})]) as server,
        client_of(server.base_url) as client,
    ):
        began_s = time.monotonic()
        assert (await client.run(RUN)).uid == RUN
        assert time.monotonic() - began_s >= 0.99


async def test_a_long_retry_after_is_for_the_caller() -> None:
    for status in (429, 503):
        refused = answer({"message": "later"}, status, {"Retry-After": "77"})
        async with serving([refused]) as server, client_of(server.base_url) as client:
            with pytest.raises(EdgesUnavailableError, match="later") as unavailable:
                await client.run(RUN)
            assert unavailable.value.retry_after_s == 77
            assert len(server.asked) == 1


async def test_what_changes_something_is_sent_again_only_if_it_had_no_effect() -> None:
    done = answer({"uid": RUN, "status": "queued"})
    without_effect = [
        answer(b"", 429, {"Retry-After": "0"}),
        answer(b"", 503, {"Retry-After": "0"}),
    ]
    for first in without_effect:
        async with serving([first, done]) as server, client_of(server.base_url) as client:
            assert (await client.act(RUN, "resume")).status == "QUEUED"
            assert server.asked == [f"POST /v1/runs/{RUN}/resume"] * 2
    in_doubt = [NOTHING, answer({"uid": RUN}, cut_at=5), answer(b"", 500), answer(b"", 503)]
    for first in in_doubt:
        async with serving([first, done]) as server, client_of(server.base_url) as client:
            with pytest.raises(OutcomeUnknownError, match="not known"):
                await client.replay(RUN, "callback")
            assert server.asked == ["POST /v1/runs/callbacks/callback/replay"]


async def test_a_change_that_is_answered_with_nothing_is_done() -> None:
    async with serving([answer(b"")]) as server, client_of(server.base_url) as client:
        assert (await client.act(RUN, "cancel")).status is None


@pytest.mark.parametrize(
    ("body", "label", "message"),
    [
        ({"error_label": "BAD_INPUT", "error_scope": "input", "message": "m"}, "BAD_INPUT", "m"),
        ({"label": "NO_ACCESS", "message": "m", "params": {"a": 1}}, "NO_ACCESS", "m"),
        ({"label": "LK_ERROR", "scope": "s", "has_failed": True, "message": "m"}, "LK_ERROR", "m"),
        ({"error": {"error_label": "BAD_INPUT", "message": "m"}}, "BAD_INPUT", "m"),
        ({"message": "m"}, "UNKNOWN", "m"),
        (b"<html>no</html>", "UNKNOWN", "<html>no</html>"),
        (b"", "UNKNOWN", "HTTP 422"),
        ([1], "UNKNOWN", "HTTP 422"),
    ],
)
async def test_errors_of_all_shapes_become_one(body: Any, label: str, message: str) -> None:
    async with serving([answer(body, 422)]) as server, client_of(server.base_url) as client:
        with pytest.raises(EdgesRefusedError) as refused:
            await client.run(RUN)
    error = refused.value.error
    assert (error["label"], error["message"], error["status_code"]) == (label, message, 422)
    assert set(error) == {
        "label", "message", "scope", "status_code", "error_ref", "params", "retryable",
    }  # fmt: skip


async def test_what_is_missing_or_odd_in_a_run_is_none() -> None:
    odd = {"uid": 7, "status": " running", "output_count": "12", "parameters": [], "new": {"a": 1}}
    async with serving([answer(odd)]) as server, client_of(server.base_url) as client:
        run = await client.run(RUN)
    assert (run.uid, run.status, run.output_count, run.parameters) == (None, "RUNNING", 12, None)
    assert run.started_at is None
    assert run.fields["new"] == {"a": 1}


async def test_a_page_with_lone_surrogates_and_long_numbers_is_counted() -> None:
    body = b'[{"a":"\\ud800"},{"b":123456789012345678901234567890},{}]'
    async with serving([answer(body)]) as server, client_of(server.base_url) as client:
        page = await client.first_page(RUN, "outputs")
    assert (page.body, page.count) == (body, 3)


async def test_smaller_pages_are_asked_for_where_larger_ones_are_refused() -> None:
    refused = answer({"error_label": "BAD_PARAMETERS", "message": "limit"}, 400)
    full = answer([{"uid": str(n)} for n in range(20)])
    async with (
        serving([refused, full, full, answer([])]) as server,
        client_of(server.base_url) as client,
    ):
        for offset in (0, 20):
            page = await client.failed_callbacks(RUN, offset=offset)
            assert (page.limit, page.next_offset) == (20, offset + 20)
        assert (await client.failed_callbacks(RUN, offset=40)).next_url is None
        limits = [asked.partition("limit=")[2].partition("&")[0] for asked in server.asked]
        assert limits == ["100", "20", "20", "20"]
    async with serving([refused]) as server, client_of(server.base_url) as client:
        with pytest.raises(EdgesRefusedError):
            await client.first_page(RUN, "inputs")
        assert len(server.asked) == 2


async def test_schedules_are_listed_read_and_changed() -> None:
    one = {"uid": "s", "status": "active", "cron": "0 9 * * 1"}
    async with (
        serving([answer([one]), answer(one)]) as server,
        client_of(server.base_url) as client,
    ):
        page = await client.schedules()
        assert page.records is not None
        assert (page.records[0].uid, page.records[0].status) == ("s", "ACTIVE")
        assert (await client.schedule("s")).fields == one
        assert (await client.act_on_schedule("s", "update", {"cron": "0 8 * * 1"})).uid == "s"
        assert server.asked[1:] == ["GET /v1/schedules/s", "POST /v1/schedules/s/update"]


async def test_a_uid_from_outside_stays_one_step_of_the_path() -> None:
    async with serving([answer({})]) as server, client_of(server.base_url) as client:
        await client.run("a/../b?c#d\n")
        assert server.asked == ["GET /v1/runs/a%2F..%2Fb%3Fc%23d%0A"]
        for step in ("..", ".", ""):
            with pytest.raises(ValueError, match="no uid"):
                await client.run(step)


async def test_every_request_goes_through_the_budget_and_is_counted() -> None:
    def count(outcome: str) -> float:
        labels = {"route": "run", "outcome": outcome}
        return (
            observe.REGISTRY.get_sample_value("edges_collector_edges_requests_total", labels) or 0
        )

    class Counting(LocalBudget):
        spent: list[str] = []  # noqa: RUF012 - of this test alone
        learned: list[int] = []  # noqa: RUF012

        async def spend(self, run_uid: str) -> int:
            self.spent.append(run_uid)
            return await super().spend(run_uid)

        async def learn(self, status: int, headers: Any, ticket: int) -> None:
            self.learned.append(status)
            await super().learn(status, headers, ticket)

    told = answer({"uid": RUN}, headers={"X-RateLimit-Remaining": "41"})
    budget = Counting()
    before = {outcome: count(outcome) for outcome in ("network", "5xx", "ok")}
    async with (
        serving([NOTHING, answer(b"", 500), told]) as server,
        client_of(server.base_url, budget=budget) as client,
    ):
        await client.run(RUN)
    assert budget.spent == [RUN] * 3
    assert budget.learned == [0, 500, 200]
    assert budget.left == 41
    assert {outcome: count(outcome) - n for outcome, n in before.items()} == {
        "network": 1, "5xx": 1, "ok": 1,
    }  # fmt: skip


async def test_a_request_that_is_cancelled_gives_back_its_ticket() -> None:
    ledger = LocalLedger()
    slow = answer({"uid": RUN}, delay_s=5)
    async with (
        serving([slow]) as server,
        client_of(server.base_url, budget=FairBudget(ledger)) as client,
    ):
        asking = asyncio.create_task(client.run(RUN))
        while not server.asked:
            await asyncio.sleep(0.001)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert asking.cancelled()
    state, _ = await ledger.take()
    assert (state.answered, len(state.in_flight)) == (1, 1)


async def test_what_edges_says_at_length_is_cut_in_messages() -> None:
    for status in (422, 500):
        async with (
            serving([answer({"message": "x" * 100_000}, status)]) as server,
            client_of(server.base_url) as client,
        ):
            with pytest.raises(EdgesApiError) as told:
                await client.run(RUN)
            assert len(str(told.value)) < 1_000


@pytest.mark.parametrize(
    "url", ["ftp://a/v1", "api.edges.run", "https://", "https://u:p@a/v1", "https://a/v1?x=1"]
)
async def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        EdgesClient(url, KEY, budget=LocalBudget())
