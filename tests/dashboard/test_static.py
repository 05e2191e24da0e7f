"""The files that pages load."""

import gzip

import pytest

from app.dashboard.static import _FOLDERS, file_of, url_of
from tests.collector_process import CollectorProcess


@pytest.mark.parametrize("name", sorted(_FOLDERS))
def test_each_file_is_there_and_kept_by_browsers_until_it_changes(
    name: str, shared_collector: CollectorProcess
) -> None:
    file = file_of(name)
    assert file is not None
    answer = shared_collector.http.get(url_of(name), headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.content == file.content == gzip.decompress(file.packed)
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]


def test_there_is_nothing_else(shared_collector: CollectorProcess) -> None:
    for name in ("pages.py", "..%2Fpages.py", ".version", "LICENSE"):
        assert shared_collector.http.get(f"/static/{name}").status_code == 404
