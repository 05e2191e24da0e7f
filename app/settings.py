"""Every setting: its name, default, unit and meaning. The README's table is made from it.

A value comes from a flag, else the environment (`COLLECTOR_<NAME>`, or the content of
the file that `COLLECTOR_<NAME>_FILE` names), else a configuration file (TOML, named by
`COLLECTOR_CONFIG`), else the default.
"""

import os
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AnyHttpUrl,
    Field,
    IPvAnyNetwork,
    PositiveFloat,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

PREFIX = "COLLECTOR_"
MIB = 1024 * 1024
SECRET_KEY_LENGTH_MIN = 16
DEFAULT_PAUSES_S = (5.0, 60.0, 600.0, 3_600.0, 18_000.0, 43_200.0, 86_400.0, 108_000.0)
"""Nine tries over three days."""

_POSTGRES = ("postgresql://", "postgres://")


class Settings(BaseSettings):
    """The collector's configuration, validated. Raises ValidationError naming each bad value."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="ignore"
    )

    data_dir: Annotated[
        Path, Field(description="Folder of the database, the generated secrets and export files.")
    ] = Path("data")
    database_url: Annotated[
        str | None,
        Field(
            description="`sqlite:///PATH`, or `postgresql://USER@HOST/DATABASE` for several"
            " replicas. Default: `collector.db` in the data folder."
        ),
    ] = None
    role: Annotated[
        Literal["all", "receive", "work"],
        Field(
            description="`receive`: takes callbacks, projects none; `work`: the other way round;"
            " both need PostgreSQL. The API answers in every role."
        ),
    ] = "all"
    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 picks one.")] = (
        8080
    )
    public_url: Annotated[
        AnyHttpUrl | None, Field(description="How Edges reaches this service.")
    ] = None
    ingest_token: Annotated[
        SecretStr | None,
        Field(description="What a callback must carry. Generated at the first start."),
    ] = None
    admin_key: Annotated[
        SecretStr | None,
        Field(description="The first API key, all scopes. Generated at the first start."),
    ] = None
    edges_base_url: Annotated[AnyHttpUrl, Field(description="The Edges API.")] = AnyHttpUrl(
        "https://api.edges.run/v1"
    )
    edges_api_key: Annotated[
        SecretStr | None, Field(description="Key of the Edges API, for reconciliation.")
    ] = None
    reconcile_silence_s: Annotated[
        float,
        Field(
            ge=1,
            description="Seconds without a callback after which Edges is asked about a run.",
        ),
    ] = 60.0
    reconcile_concurrency: Annotated[
        int, Field(ge=1, le=100, description="Runs that are reconciled at the same time.")
    ] = 8
    schedule_poll_s: Annotated[
        float, Field(ge=10, description="Seconds between asking Edges for all schedules.")
    ] = 300.0
    schedule_grace_s: Annotated[
        float,
        Field(
            ge=0,
            description="Seconds after its time that an iteration of a schedule without a run is"
            " missed.",
        ),
    ] = 900.0
    max_body_bytes: Annotated[
        int, Field(ge=1024, le=256 * MIB, description="Largest callback taken, after inflation.")
    ] = 16 * MIB
    result_keys: Annotated[
        tuple[str, ...],
        Field(description="Where in a callback to look for results, first match counts (JSON)."),
    ] = ("results", "result", "outputs", "output", "data")
    secret_key: Annotated[
        SecretStr | None,
        Field(
            description="Encrypts the secrets of endpoints and signs links; the same for all"
            " replicas. Generated at the first start."
        ),
    ] = None
    previous_secret_keys: Annotated[
        tuple[SecretStr, ...],
        Field(description="Earlier secret keys: what they sealed is read, and sealed anew (JSON)."),
    ] = ()
    allow_private_endpoints: Annotated[
        bool,
        Field(description="Let webhooks go to private addresses, and without TLS."),
    ] = False
    allowed_endpoint_networks: Annotated[
        tuple[IPvAnyNetwork, ...],
        Field(description='Private networks that webhooks may go to: `["10.1.0.0/16"]` (JSON).'),
    ] = ()
    delivery_timeout_s: Annotated[
        float, Field(gt=0, le=18, description="Seconds that a receiver of webhooks has to answer.")
    ] = 15.0
    delivery_pauses_s: Annotated[
        tuple[PositiveFloat, ...],
        Field(
            min_length=1,
            max_length=50,
            description="Seconds between the tries of a delivery, or of writing a run to a sink;"
            " one try more than pauses (JSON).",
        ),
    ] = DEFAULT_PAUSES_S
    disable_endpoint_after_s: Annotated[
        float,
        Field(gt=0, description="Seconds of nothing but failures that disable an endpoint."),
    ] = 5 * 86_400.0
    event_retention_days: Annotated[
        float,
        Field(gt=0, description="Days that events, and deliveries that are over, are kept."),
    ] = 30.0
    export_dir: Annotated[
        Path | None,
        Field(
            description="Folder of export files, shared by all replicas. Default: `exports` in"
            " the data folder."
        ),
    ] = None
    export_retention_hours: Annotated[
        float, Field(gt=0, description="Hours that export files are kept.")
    ] = 72.0
    run_retention_days: Annotated[
        float | None,
        Field(
            gt=0,
            description="Days after its last callback that a run is kept. Default: for ever.",
        ),
    ] = None
    sink_dir: Annotated[
        Path | None,
        Field(
            description="Folder below which standing sinks may write files; by default nowhere on"
            " this machine."
        ),
    ] = None
    smtp_url: Annotated[
        SecretStr | None,
        Field(
            description="Mail server for endpoints: `smtp://USER:PASSWORD@HOST:587`, `smtps://`."
        ),
    ] = None
    smtp_from: Annotated[str, Field(description="Sender of mail to endpoints.")] = (
        "edges-collector@localhost"
    )
    on_completed_command: Annotated[
        str | None,
        Field(description="Local command for each completed run, the event on its input."),
    ] = None
    on_completed_timeout_s: Annotated[
        float, Field(gt=0, le=3_600, description="Seconds that this command may take.")
    ] = 60.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Least level logged.")
    ] = "info"
    log_format: Annotated[
        Literal["json", "console"] | None,
        Field(description="Default: `console` on a terminal, else `json`."),
    ] = None
    drain_s: Annotated[
        float,
        Field(
            ge=0, le=300, description="Seconds between failing readiness and closing on SIGTERM."
        ),
    ] = 1.0
    ready_lag_s: Annotated[
        float, Field(gt=0, description="Projection lag in seconds above which readiness fails.")
    ] = 60.0
    projection_burst_s: Annotated[
        float,
        Field(
            ge=0,
            description="Seconds of a burst during which acknowledging goes before projecting,"
            " where both compete for one processor.",
        ),
    ] = 5.0
    checkpoint_bytes: Annotated[
        int,
        Field(
            ge=64 * 1024,
            description="Size of the log's write-ahead file at which it is checkpointed.",
        ),
    ] = 24 * MIB
    projection_paused: Annotated[
        bool, Field(description="Only receive; project after a restart without this.")
    ] = False

    @field_validator("on_completed_command")
    @classmethod
    def _is_a_command(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise ValueError(f"this is no command: {error}") from None
        if not words or "\0" in value:
            raise ValueError("this is no command: name a program, and its arguments")
        return value

    @field_validator("secret_key")
    @classmethod
    def _is_long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < SECRET_KEY_LENGTH_MIN:
            raise ValueError(
                f"give at least {SECRET_KEY_LENGTH_MIN} characters, such as `openssl rand -hex 32`"
                " makes"
            )
        return value

    @field_validator("database_url")
    @classmethod
    def _is_known_database(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("sqlite:///", *_POSTGRES)):
            raise ValueError("give sqlite:///PATH or postgresql://USER@HOST/DATABASE")
        return value

    @model_validator(mode="after")
    def _role_needs_postgres(self) -> Self:
        if self.role != "all" and self.postgres_url is None:
            raise ValueError(
                f"COLLECTOR_ROLE={self.role} needs COLLECTOR_DATABASE_URL=postgresql://…:"
                " SQLite belongs to one process, which does it all"
            )
        return self

    @model_validator(mode="after")
    def _sinks_spare_the_database(self) -> Self:
        if (
            self.sink_dir is not None
            and self.postgres_url is None
            and self.log_path.resolve().is_relative_to(self.sink_dir.resolve())
        ):
            raise ValueError(
                f"COLLECTOR_SINK_DIR={self.sink_dir} holds the collector's own database: name"
                " another folder"
            )
        return self

    @property
    def postgres_url(self) -> str | None:
        """The address of PostgreSQL; None where the store is SQLite."""
        url = self.database_url
        return url if url is not None and url.startswith(_POSTGRES) else None

    @property
    def log_path(self) -> Path:
        """The file that holds the log, where the store is SQLite."""
        if self.database_url is not None:
            return Path(self.database_url.removeprefix("sqlite:///"))
        return self.data_dir / "collector.db"

    @property
    def export_path(self) -> Path:
        """The folder of export files."""
        return self.export_dir or self.data_dir / "exports"

    @property
    def projection_path(self) -> Path:
        """The SQLite file that holds what is derived from the log, beside it."""
        return self.log_path.with_name(f"{self.log_path.stem}-projection.db")

    @property
    def outbox_path(self) -> Path:
        """The SQLite file that holds events, endpoints and deliveries, beside the log."""
        return self.log_path.with_name(f"{self.log_path.stem}-outbox.db")

    @property
    def asks_edges(self) -> bool:
        """Whether runs are compared with Edges."""
        return self.edges_api_key is not None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, environment, `*_FILE`, configuration file: in this order."""
        sources = [init_settings, env_settings, SecretFiles(settings_cls)]
        if config := os.environ.get(f"{PREFIX}CONFIG"):
            sources.append(TomlConfigSettingsSource(settings_cls, Path(config)))
        return tuple(sources)


class SecretFiles(PydanticBaseSettingsSource):
    """`COLLECTOR_<NAME>_FILE` names a file that holds the value of a setting."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The file's content without the line end, or None. Raises OSError if unreadable."""
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        return (Path(path).read_text("utf-8").strip() if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Every setting that a file gives."""
        values = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in values.items() if value is not None}
