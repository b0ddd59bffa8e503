"""Every key of the configuration: its name, its type, its default, its meaning.

The descriptions here are the only ones: the editors' schema and its texts are made from them. `loading.load` is the
one maker of `Settings`; it expands paths and fills in what depends on the machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ecm_agent.config.destinations import DestinationSettings, Section
from ecm_agent.config.jobs import JobSettings
from ecm_agent.config.store import PASSWORD_VARIABLE, PasswordSettings, StoreSettings
from ecm_agent.config.values import (
    CountOfSome,
    DestinationName,
    Duration,
    HostName,
    JobName,
    SecretText,
    Size,
    VariableName,
    Zone,
    size_in_bytes,
    span_of,
)

if TYPE_CHECKING:
    from datetime import timedelta

DEFAULT_BACKUPS = Path("~/.ecm/backups")


class NotifySettings(Section):
    """Who is told about runs, and when. The addresses are secrets, and add up where several keys give some."""

    urls: list[SecretText] = Field(
        default=[],
        description="Addresses as the apprise library has them (mailto://, ntfy://). Needs ecm-agent[notify].",
    )
    env: VariableName | None = Field(
        default=None, description="An environment variable that holds addresses, with blanks between them."
    )
    file: Path | None = Field(
        default=None, description="A file that holds addresses, one a line. It must not be readable by everyone."
    )
    on: Annotated[list[Literal["failure", "recovery", "success", "always"]], Field(min_length=1)] = Field(
        default=["failure", "recovery"],
        description="The occasions: failure, recovery (a success after a failure), success, always (every run).",
    )
    repeat: Duration = Field(
        default="24h", description="How long the same failure is not told again (30m, 24h, 7d), while it lasts."
    )

    def interval(self) -> timedelta:
        """Give the time between two messages about the same failure."""
        return span_of(self.repeat)


class LogSettings(Section):
    """What the daemon logs to stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least grave records to log. At debug, also what hooks print."
    )
    format: Literal["auto", "text", "json"] = Field(
        default="auto", description="text, json (an object a line), or auto: text on a terminal, json elsewhere."
    )

    def as_json(self) -> bool | None:
        """Tell whether to log JSON; `None` where it depends on the terminal."""
        return None if self.format == "auto" else self.format == "json"


class DaemonSettings(Section):
    """What holds for the daemon alone."""

    grace: Duration = Field(
        default="60s", description="How long a run may go on after the daemon was told to stop, before it is abandoned."
    )

    def grace_seconds(self) -> float:
        """Give the grace in seconds."""
        return span_of(self.grace).total_seconds()


class StagingSettings(Section):
    """Where archives that could not be sent yet wait."""

    limit: Size = Field(
        default="8GiB",
        description="How much of each job may wait there; beyond it the oldest archives are dropped, never the newest.",
    )

    def bytes(self) -> int:
        """Give the limit in bytes."""
        return size_in_bytes(self.limit)


class SafetySettings(Section):
    """What is kept of a store before it is changed."""

    keep: CountOfSome | None = Field(
        default=None,
        description="How many safety archives of each store are kept: older ones are removed once it was changed "
        "again. Without it, all of them.",
    )


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

    notify: NotifySettings = Field(
        default_factory=NotifySettings, description="Messages to people about failures and recoveries."
    )
    daemon: DaemonSettings = Field(default_factory=DaemonSettings, description="How the daemon behaves.")
    staging: StagingSettings = Field(
        default_factory=StagingSettings, description="Archives that could not be sent yet wait in the state directory."
    )
    safety: SafetySettings = Field(
        default_factory=SafetySettings, description="Safety archives of stores that were restored, merged or undone."
    )
    log: LogSettings = Field(default_factory=LogSettings, description="What the daemon logs, and how.")

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
