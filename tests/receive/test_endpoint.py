"""POST /callbacks over a real socket: every status of the contract, and every bad body."""

import gzip
import json
import socket
import time
from collections.abc import Callable

import pytest

from tests.callbacks import RUN, callback, encoded, new_run, sent
from tests.collector_process import TOKEN, CollectorProcess
from tests.databases import locked

BIG = 18_446_744_073_709_551_616  # 2**64


def test_a_callback_is_stored_then_a_duplicate_then_a_conflict(
    shared_collector: CollectorProcess,
) -> None:
    run = new_run()
    first = shared_collector.send(sent("c1", run=run))
    assert first.status_code == 200
    assert first.json() == {"status": "stored", "callback_ref_uid": "c1", "run_uid": run}
    again = json.dumps(callback("c1", run=run), indent=2, sort_keys=True).encode()
    assert shared_collector.send(again).json()["status"] == "duplicate"
    other = shared_collector.send(sent("c1", run=run, results=({"full_name": "Someone else"},)))
    assert (other.status_code, other.json()["status"]) == (200, "conflict")
    shared_collector.wait_until_projected()
    counts = shared_collector.get(f"runs/{run}")["counts"]
    assert (counts["callbacks"], counts["duplicates"], counts["conflicts"]) == (1, 1, 1)
    assert counts["results"] == 1


def test_without_a_ref_the_canonical_body_tells_repeats(shared_collector: CollectorProcess) -> None:
    run = new_run()
    body = callback(None, run=run)
    assert shared_collector.send(encoded(body)).json() == {
        "status": "stored",
        "callback_ref_uid": None,
        "run_uid": run,
    }
    spelled_otherwise = json.dumps(body, indent=1, sort_keys=True).encode()
    assert shared_collector.send(spelled_otherwise).json()["status"] == "duplicate"


def test_the_token_may_stand_in_the_path(shared_collector: CollectorProcess) -> None:
    answer = shared_collector.http.post(f"/callbacks/{TOKEN}", content=sent("c1", run=new_run()))
    assert answer.status_code == 200
    assert shared_collector.http.post("/callbacks/wrong", content=sent("c2")).status_code == 401


@pytest.mark.parametrize("given", ["", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer "])
def test_a_wrong_token_is_refused_before_the_body_is_read(
    shared_collector: CollectorProcess, given: str
) -> None:
    with socket.create_connection(("127.0.0.1", shared_collector.port), timeout=60) as connection:
        connection.sendall(
            b"POST /callbacks HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
            + f"Authorization: {given}\r\n\r\n".encode()
        )
        answer = connection.recv(4096)  # no byte of the body was sent
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"application/problem+json" in answer
    assert b"www-authenticate: Bearer" in answer.lower().replace(b"bearer", b"Bearer")


def test_other_methods_are_refused_with_what_is_allowed(shared_collector: CollectorProcess) -> None:
    answer = shared_collector.http.get("/callbacks")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["status"] == 405


# (name, body, status, what the answer is to say)
BAD_BODIES = [
    ("empty", b"", 400, "not a JSON"),
    ("not json", b"hello", 400, "not a JSON"),
    ("cut off", sent()[:-5], 400, "not a JSON"),
    ("trailing", sent() + b"x", 400, "not a JSON"),
    ("nan", sent().replace(b'"Zo\xc3\xab"', b"NaN"), 400, "NaN"),
    ("infinity", sent().replace(b'"Zo\xc3\xab"', b"-Infinity"), 400, "Infinity"),
    ("latin-1", sent().replace(b"\xc3\xab", b"\xeb"), 400, "UTF-8"),
    ("utf-16", sent().decode().encode("utf-16"), 400, "UTF-8"),
    ("surrogate bytes", sent().replace(b"\xc3\xab", b"\xed\xa0\xbd"), 400, "UTF-8"),
    ("control character", sent().replace(b"\xc3\xab", b"\x01"), 400, "control character"),
    (
        "10,000 levels",
        sent().replace(b'"Zo\xc3\xab"', b"[" * 10_000 + b"]" * 10_000),
        202,
        "deeper",
    ),
    ("a list", b"[]", 202, "a list"),
    ("a number", b"1", 202, "a number"),
    ("null", b"null", 202, "null"),
    ("no run", b'{"results": []}', 202, '"run" must be an object'),
    ("run is text", b'{"run": "x"}', 202, '"run" must be an object'),
    ("no run_uid", b'{"run": {"status": "RUNNING"}}', 202, "keys seen in"),
    ("run_uid is a number", b'{"run": {"run_uid": 7}}', 202, '"run.run_uid" must be text'),
    ("run_uid is empty", b'{"run": {"run_uid": ""}}', 202, "1 to 200"),
    ("run_uid is long", sent(run="x" * 201), 202, "1 to 200"),
    ("ref is a number", sent(callback_ref_uid=7), 202, "must be text"),
    ("ref is long", sent("x" * 201), 202, "over 200"),
]


@pytest.mark.parametrize(
    ("name", "body", "status", "says"), BAD_BODIES, ids=[b[0] for b in BAD_BODIES]
)
def test_a_bad_body_gets_a_defined_answer_and_is_kept(
    shared_collector: CollectorProcess, name: str, body: bytes, status: int, says: str
) -> None:
    del name
    answer = shared_collector.send(body)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert says in problem["detail"]
    kept = shared_collector.http.get(f"/api/v1/quarantine/{problem['quarantine_id']}/raw")
    assert kept.content == body
    assert shared_collector.http.get("/healthz").status_code == 200


# (name, body, the data that results are to hold)
ODD_BODIES = [
    (
        "integers beyond 64 bits",
        encoded(callback(results=({"id": BIG, "minus": -BIG, "long": 10**40},))),
        {"id": BIG, "minus": -BIG, "long": 10**40},
    ),
    ("integers of 64 bits", sent(results=({"id": 2**63 + 1},)), {"id": 2**63 + 1}),
    (
        "duplicate keys",
        sent().replace(b'"full_name"', b'"full_name": "first", "full_name"'),
        {"linkedin_profile_id": 1, "full_name": "Zoë"},
    ),
    (
        "lone surrogate",
        sent().replace(b"Zo\xc3\xab", rb"cut \ud83d"),
        {"linkedin_profile_id": 1, "full_name": "cut \ufffd"},
    ),
    ("number beyond doubles", sent(results=({"n": 0},)).replace(b"0}", b"1e400}"), {"n": "1e400"}),
    ("nul", sent(results=({"n": "a\0b"},)), {"n": "a\0b"}),
    ("nested results", sent(results=({"n": json.loads("[" * 900 + "]" * 900)},)), None),
]


@pytest.mark.parametrize(("name", "body", "data"), ODD_BODIES, ids=[b[0] for b in ODD_BODIES])
def test_an_odd_body_is_stored_and_nothing_of_it_is_lost(
    shared_collector: CollectorProcess, name: str, body: bytes, data: object
) -> None:
    del name
    run = new_run()
    body = body.replace(RUN.encode(), run.encode())
    assert shared_collector.send(body).json()["status"] == "stored"
    shared_collector.wait_until_projected()
    raw = shared_collector.http.get(f"/api/v1/runs/{run}/callbacks/c1/raw")
    assert raw.content == body
    (result,) = shared_collector.get(f"runs/{run}/results")["data"]
    if data is not None:
        assert result["data"] == data
    for form in ("ndjson", "json", "csv"):
        download = shared_collector.http.get(f"/api/v1/runs/{run}/results", params={"format": form})
        assert download.status_code == 200
        assert download.content


@pytest.mark.parametrize("levels", [1_100, 2_400, 2_700, 2_950, 2_990, 3_000, 3_100])
@pytest.mark.parametrize("ref", ["c1", None])
def test_around_the_limit_of_nesting_each_body_is_stored_or_quarantined(
    shared_collector: CollectorProcess, ref: str | None, levels: int
) -> None:
    run = new_run()
    deep = sent(ref, run=run).replace(b'"Zo\xc3\xab"', b"[" * levels + b"]" * levels)
    first = shared_collector.send(deep)
    assert first.status_code in (200, 202), first.text
    if first.status_code == 200:
        respelled = deep.replace(b'"custom_data": ', b'"custom_data":  ')
        assert shared_collector.send(respelled).status_code in (200, 202)
        assert shared_collector.send(deep).json()["status"] == "duplicate"
        shared_collector.wait_until_projected()
        assert shared_collector.get(f"runs/{run}")["counts"]["callbacks"] >= 1
        for form in ("ndjson", "csv"):
            download = shared_collector.http.get(
                f"/api/v1/runs/{run}/results", params={"format": form}
            )
            assert download.status_code == 200


def test_a_wrong_content_type_is_let_pass_if_the_body_is_a_callback(
    shared_collector: CollectorProcess,
) -> None:
    body = sent("c1", run=new_run())
    assert shared_collector.send(body, Content_Type="text/plain").status_code == 200
    answer = shared_collector.send(b"row=1", Content_Type="application/x-www-form-urlencoded")
    assert answer.status_code == 415
    assert "quarantine_id" in answer.json()


def test_gzip_is_inflated_within_bounds(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    collector = start_collector(env={"COLLECTOR_MAX_BODY_BYTES": "100000"})
    gzipped = {"Content_Encoding": "gzip"}
    assert collector.send(gzip.compress(sent("c1")), **gzipped).json()["status"] == "stored"
    assert collector.send(sent("c1")).json()["status"] == "duplicate"
    bomb = gzip.compress(b'{"run":{"run_uid":"x"},"a":"' + b"0" * 50_000_000 + b'"}')
    assert len(bomb) < 100_000
    assert collector.send(bomb, **gzipped).status_code == 413
    assert collector.send(gzip.compress(sent("c2"))[:-4], **gzipped).status_code == 400
    assert collector.send(b"plain", **gzipped).status_code == 400
    assert collector.send(sent("c3"), Content_Encoding="br").status_code == 415


def test_a_large_body_is_refused_as_announced_and_as_it_comes(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    collector = start_collector(env={"COLLECTOR_MAX_BODY_BYTES": "10000"})
    assert collector.send(sent("c1", filler="x" * 20_000)).status_code == 413
    head = (
        b"POST /callbacks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        b"Authorization: Bearer " + TOKEN.encode() + b"\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", collector.port), timeout=60) as connection:
        # Just over the bound, and at once: who goes on sending may lose the answer.
        connection.sendall(head + (b"400\r\n" + b" " * 1024 + b"\r\n") * 10)
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")
    assert collector.send(sent("c2")).status_code == 200


def test_a_chunked_body_is_taken(shared_collector: CollectorProcess) -> None:
    body = sent("c1", run=new_run())
    head = (
        b"POST /callbacks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        b"Authorization: Bearer " + TOKEN.encode() + b"\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", shared_collector.port), timeout=60) as connection:
        connection.sendall(head)
        for part in (body[:7], body[7:]):
            connection.sendall(b"%x\r\n" % len(part) + part + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert shared_collector.send(body).json()["status"] == "duplicate"


def test_a_sender_that_hangs_up_half_way_leaves_nothing(collector: CollectorProcess) -> None:
    with socket.create_connection(("127.0.0.1", collector.port), timeout=60) as connection:
        connection.sendall(
            b"POST /callbacks HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
            b"Authorization: Bearer " + TOKEN.encode() + b'\r\n\r\n{"run":'
        )
    time.sleep(0.2)
    assert collector.get("quarantine")["data"] == []
    assert collector.send(sent("c1")).json()["status"] == "stored"


def test_a_locked_database_gives_503_and_nothing_is_stored(collector: CollectorProcess) -> None:
    with locked(collector.env):
        answer = collector.send(sent("c1"))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert collector.http.get("/healthz").status_code == 200
    assert collector.send(sent("c1")).json()["status"] == "stored"


def test_a_request_id_comes_back(shared_collector: CollectorProcess) -> None:
    answer = shared_collector.send(sent("c1"), X_Request_ID="mine-1")
    assert answer.headers["x-request-id"] == "mine-1"
    assert shared_collector.send(sent("c2")).headers["x-request-id"]


def test_no_body_and_no_secret_is_logged(collector: CollectorProcess) -> None:
    collector.send(sent("c1", results=({"secret_field": "hush-hush"},)))
    collector.send(b'{"hush-hush": 1}')
    collector.send(b"hush-hush", Authorization="Bearer hush-token")
    log = collector.log
    assert "quarantined" in log
    for hidden in ('hush-hush"}', TOKEN, "hush-token", "secret_field"):
        assert hidden not in log
