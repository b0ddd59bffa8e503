"""Every key of the configuration: its name, its type, its default, its meaning.

The descriptions here are the only ones: the editors' schema and its texts are made from them. `loading.load` is the
one maker of `Settings`; it expands paths and fills in what depends on the machine.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ecm_agent.config.destinations import DestinationSettings, Section
from ecm_agent.config.values import (
    Count,
    CountOfSome,
    CredentialName,
    DestinationName,
    HostName,
    JobName,
    Names,
    Span,
    VariableName,
    Zone,
    plain,
)
from ecm_agent.errors import UsageError

if TYPE_CHECKING:
    from ecm_agent.retention import Policy

PASSWORD_VARIABLE = "ECM_EXPORT_PASSWORD"  # noqa: S105 (a variable's name)
DEFAULT_STORE = Path("~/.ecm/memory.db")
DEFAULT_BACKUPS = Path("~/.ecm/backups")
DEFAULT_RETENTION = {"keep_daily": 7, "keep_weekly": 4, "keep_monthly": 12}
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


class StoreSettings(Section):
    """Where the memory is."""

    path: Path = Field(default=DEFAULT_STORE, description="The SQLite file of the memory.")


class PasswordSettings(Section):
    """Where the password comes from; exactly one key. The password itself is never part of the settings."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [key]} for key in ("env", "file", "command", "credential")]}
    )

    env: VariableName | None = Field(
        default=None,
        description="The environment variable that holds the password. Where it is not set, the variable of the same "
        "name with _FILE added may name a file that holds it.",
    )
    file: Path | None = Field(
        default=None,
        description="A file that holds the password; one newline at its end is not part of it. It must not be "
        "readable by everyone.",
    )
    command: Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None,
        repr=False,
        description="A program and its arguments (a list; no shell) that prints the password; one newline at the end "
        "is not part of it.",
    )
    credential: CredentialName | None = Field(
        default=None, description="The name of a systemd credential, a file in $CREDENTIALS_DIRECTORY."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise plain("must have exactly one of the keys env, file, command and credential")
        return self


class RetentionSettings(Section):
    """Which archives rotation keeps. A policy is complete as written: a rule that is not given keeps nothing."""

    keep_last: Count = Field(default=0, description="Keep this many of the newest archives.")
    keep_hourly: Count = Field(default=0, description="Keep the newest archive of each of this many hours.")
    keep_daily: Count = Field(default=0, description="Keep the newest archive of each of this many days.")
    keep_weekly: Count = Field(default=0, description="Keep the newest archive of each of this many weeks.")
    keep_monthly: Count = Field(default=0, description="Keep the newest archive of each of this many months.")
    keep_yearly: Count = Field(default=0, description="Keep the newest archive of each of this many years.")
    keep_within: Span | None = Field(
        default=None,
        description="Keep every archive made within this time before the newest: hours, days or weeks (36h, 14d, 2w).",
    )
    keep_minimum: CountOfSome = Field(
        default=1, description="Never leave fewer archives than this, whatever the other rules say."
    )

    def policy(self) -> Policy:
        """Give the policy these settings describe. Raises `UsageError` for one that keeps nothing."""
        from ecm_agent.retention import Policy

        counts = self.model_dump(exclude={"keep_within"})
        return Policy(**counts, keep_within=_timedelta(self.keep_within) if self.keep_within else None)

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        try:
            self.policy()
        except UsageError as error:
            raise plain(error.message) from None
        return self


def _timedelta(span: str) -> timedelta:
    return timedelta(**{_UNITS[span[-1]]: int(span[:-1])})


class JobSettings(Section):
    """What one job backs up, to where, and what it keeps."""

    destinations: Names = Field(
        default=[], description="The destinations of this job, by name. None named means all of them."
    )
    retention: RetentionSettings = Field(
        default_factory=lambda: RetentionSettings.model_validate(DEFAULT_RETENTION),
        json_schema_extra={"default": {**DEFAULT_RETENTION}},
        description="Which archives rotation keeps. A policy is complete as written: a rule not given keeps nothing.",
    )
    compress: Literal["none", "gzip", "zstd"] = Field(
        default="none",
        description="Compression inside the encryption: none (any reader of the format opens it), gzip or zstd.",
    )
    projects: Names = Field(default=[], description="The projects to back up, by name. None named means all of them.")
    vectors: bool = Field(default=True, description="Whether to back up the embedding vectors.")


class Settings(BaseSettings):
    """The whole configuration, checked; paths are absolute, every job names its destinations."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    store: StoreSettings = Field(description="The memory to back up.")
    password: PasswordSettings = Field(
        default_factory=lambda: PasswordSettings(env=PASSWORD_VARIABLE),
        json_schema_extra={"default": {"env": PASSWORD_VARIABLE}},
        description="Where the password comes from: exactly one of env, file, command and credential.",
    )
    timezone: Zone = Field(
        description="The IANA time zone in which days, weeks and months begin. Without it, the system's."
    )
    state_dir: Path = Field(
        description="Where the agent keeps its own journal and staged archives. Without it, $STATE_DIRECTORY, "
        "$XDG_STATE_HOME/ecm-agent or ~/.local/state/ecm-agent."
    )
    host: HostName = Field(description="This machine's name in archive names. Without it, the machine's own.")
    destinations: dict[DestinationName, DestinationSettings] = Field(
        min_length=1,
        description=f"Where archives are kept, by name. Without it, one: local, the directory {DEFAULT_BACKUPS}.",
    )
    jobs: dict[JobName, JobSettings] = Field(
        min_length=1, description="What to back up, by name. Without it, one job with every default: default."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `loading.load` gives and nothing else: it knows the layers, and where each key came from."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)
