"""Settings: where they come from, and that the README tells all of them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings
from app.work_settings import WorkSettings
from tests.collector_process import CollectorProcess
from tests.settings_table import README, with_table


def test_the_readme_has_the_table_of_settings() -> None:
    readme = README.read_text("utf-8")
    assert readme == with_table(readme), "run: python -m tests.settings_table"


def test_flag_before_environment_before_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, secret = tmp_path / "collector.toml", tmp_path / "token"
    config.write_text('port = 1\nhost = "config"\nlog_level = "error"\ningest_token = "config"\n')
    secret.write_text("from a file\n")
    monkeypatch.setenv("COLLECTOR_CONFIG", str(config))
    monkeypatch.setenv("COLLECTOR_INGEST_TOKEN_FILE", str(secret))
    monkeypatch.setenv("COLLECTOR_PORT", "2")
    monkeypatch.setenv("COLLECTOR_HOST", "environment")
    settings = Settings(port=3)
    assert (settings.port, settings.host, settings.log_level) == (3, "environment", "error")
    assert settings.ingest_token is not None
    assert settings.ingest_token.get_secret_value() == "from a file"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("DATABASE_URL", "mysql://x"),
        ("LOG_LEVEL", "loud"),
        ("MAX_BODY_BYTES", "1"),
    ],
)
def test_a_bad_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"COLLECTOR_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_secrets_are_not_shown() -> None:
    settings = Settings(ingest_token="hush", admin_key="hush")
    assert "hush" not in repr(settings)


def test_a_worker_is_told_what_it_needs_and_no_key() -> None:
    settings = Settings(ingest_token="hush", admin_key="hush", edges_api_key="hush", data_dir="x")
    told = WorkSettings.of(settings)
    assert told.asks_edges
    assert told.log_path == Path("x/collector.db")
    assert WorkSettings.from_json(told.to_json()) == told
    assert b"hush" not in told.to_json()


def test_generated_secrets_are_kept_privately_and_shown_once(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first = CollectorProcess(
        {"COLLECTOR_DATA_DIR": str(folder)}, with_secrets=False
    ).wait_until_ready()
    first.kill()
    tokens = {}
    for name in ("ingest-token", "admin-key"):
        path = folder / name
        assert path.stat().st_mode & 0o777 == 0o600
        tokens[name] = path.read_text("utf-8").strip()
        assert len(tokens[name]) >= 40
        assert first.log.count(tokens[name]) == 1
    assert folder.stat().st_mode & 0o777 == 0o700
    again = CollectorProcess(
        {"COLLECTOR_DATA_DIR": str(folder)}, with_secrets=False
    ).wait_until_ready()
    answer = again.http.get(
        "/api/v1/runs", headers={"Authorization": f"Bearer {tokens['admin-key']}"}
    )
    assert answer.status_code == 200
    again.kill()
    for token in tokens.values():
        assert token not in again.log
