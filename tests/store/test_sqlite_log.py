"""The log in SQLite: keys, conflicts, frames, restarts."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.model import Arrival, Logged, Outcome, Quarantined, RunId
from app.store.rows import Claim
from app.store.segments import FRAME_BYTES_MAX
from app.store.sqlite import key_index
from app.store.sqlite.log import SqliteLogWriter
from app.store.sqlite.log_reader import SqliteLogReader


def arrival(key: str, body: bytes = b'{"a":1}', run: str = "run") -> Arrival:
    return Arrival(run, key, body, 1_700_000_000_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def writer(path: Path) -> Iterator[SqliteLogWriter]:
    writer = SqliteLogWriter(path)
    yield writer
    writer.close()


STORED, DUPLICATE = Outcome.STORED, Outcome.DUPLICATE


def test_the_log_reads_back_in_order_of_arrival(writer: SqliteLogWriter, path: Path) -> None:
    rng = random.Random(5)
    sent = []
    for number in range(40):
        batch = [
            arrival(f"{number}-{place}", rng.randbytes(rng.randrange(1, 9_000)).hex().encode())
            for place in range(rng.randrange(1, 20))
        ]
        sent += batch
        assert set(writer.append(batch)) == {STORED}
    reader = SqliteLogReader(path)
    seq = 1
    found: list[Logged] = []
    while part := reader.read(Claim(None, seq), callbacks_max=17, bytes_max=10**6).callbacks:
        found += part
        seq = part[-1].seq + 1
    assert [one.seq for one in found] == list(range(1, len(sent) + 1))
    assert [(one.key, one.body) for one in found] == [(one.key, one.body) for one in sent]
    run = found[0].run
    assert reader.callback(run, 7).body == sent[6].body
    assert reader.size() == len(sent)
    for missing in ((run, len(sent) + 1), (RunId(run.no, "another"), 7)):
        with pytest.raises(LookupError):
            reader.callback(*missing)
    reader.close()


def test_a_body_larger_than_a_frame_has_one_to_itself(writer: SqliteLogWriter, path: Path) -> None:
    bodies = [b"s", b"L" * (FRAME_BYTES_MAX * 3), b"s" * 10]
    writer.append([arrival(str(place), body) for place, body in enumerate(bodies)])
    reader = SqliteLogReader(path)
    found = reader.read(Claim(None, 1), callbacks_max=9, bytes_max=10**9).callbacks
    assert [one.body for one in found] == bodies
    reader.close()


def test_keys_are_known_while_gathered_while_moved_and_in_the_table(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_index, "GATHERED_MAX", 30)
    monkeypatch.setattr(key_index, "PORTION", 7)
    writer = SqliteLogWriter(path)
    keys = [f"k{number}" for number in range(100)]
    random.Random(1).shuffle(keys)
    for start in range(0, 100, 5):
        assert set(writer.append([arrival(key) for key in keys[start : start + 5]])) == {STORED}
        assert set(writer.append([arrival(key) for key in keys[: start + 5]])) == {DUPLICATE}
        if writer.is_upkeep_due():
            writer.keep_up()
    crashed = SqliteLogWriter(path)  # as after a crash: the first one was never closed
    assert set(crashed.append([arrival(key) for key in keys])) == {DUPLICATE}
    assert crashed.seqs("run", keys[3]) == [4]
    assert crashed.seqs("run", "no such key") == crashed.seqs("no such run", "k1") == []
    crashed.close()
    again = SqliteLogWriter(path)
    assert set(again.append([arrival(key) for key in keys])) == {DUPLICATE}
    again.close()


def test_the_same_bad_body_is_kept_once_and_counted(writer: SqliteLogWriter) -> None:
    def entry(identity: str, body: bytes) -> Quarantined:
        return Quarantined(identity, 5, "not_json", "why", "text/plain", body)

    assert writer.quarantine(entry("one", b"bad")) == "one"
    assert writer.quarantine(entry("two", b"bad")) == "one"
    assert writer.quarantine(entry("three", b"worse")) == "three"
    assert writer.release("one")
    assert not writer.release("one")
