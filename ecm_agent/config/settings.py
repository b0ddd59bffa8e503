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
    Commands,
    Count,
    CountOfSome,
    CredentialName,
    DestinationName,
    Duration,
    HostName,
    JobName,
    Names,
    ScheduleText,
    SecretText,
    Size,
    Span,
    VariableName,
    Zone,
    plain,
    size_in_bytes,
    span_of,
)
from ecm_agent.errors import UsageError

if TYPE_CHECKING:
    from ecm_agent.retention import Policy

PASSWORD_VARIABLE = "ECM_EXPORT_PASSWORD"  # noqa: S105 (a variable's name)
DEFAULT_STORE = Path("~/.ecm/memory.db")
DEFAULT_BACKUPS = Path("~/.ecm/backups")
DEFAULT_SCHEDULE = "0 2 * * *"
DEFAULT_RETENTION = {"keep_daily": 7, "keep_weekly": 4, "keep_monthly": 12}


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
        return Policy(**counts, keep_within=span_of(self.keep_within) if self.keep_within else None)

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        try:
            self.policy()
        except UsageError as error:
            raise plain(error.message) from None
        return self


class HooksSettings(Section):
    """Commands of one's own around a job's runs: lists of words, no shell; their arguments are never shown."""

    before: Commands = Field(
        default=[], description="Run before the job, in order. Exit code 75 skips the run; any other but 0 fails it."
    )
    after: Commands = Field(default=[], description="Run when everything went well.")
    on_failure: Commands = Field(
        default=[], description="Run when the job, a destination or a `before` command failed."
    )
    lastly: Commands = Field(default=[], alias="finally", description="Run at the end, whatever happened.")
    timeout: Duration = Field(
        default="60s", description="How long each command may take (30s, 5m, 2h) before it is ended, and has failed."
    )

    def seconds(self) -> float:
        """Give the timeout in seconds."""
        return span_of(self.timeout).total_seconds()


class PingSettings(Section):
    """Where a job's dead-man's switch is (healthchecks.io or the like); exactly one key. The address is a secret."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in ("env", "file", "url")]})

    env: VariableName | None = Field(default=None, description="The environment variable that holds the address.")
    file: Path | None = Field(
        default=None, description="A file that holds the address. It must not be readable by everyone."
    )
    url: SecretText | None = Field(default=None, description="The address itself, of http or https.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise plain("must have exactly one of the keys env, file and url")
        return self


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


class VerifySettings(Section):
    """When what a job has stored is proved anew: the newest archive each time, of the older ones a share."""

    schedule: ScheduleText = Field(description="When to check: a crontab line, a nickname, or an interval.")
    level: Literal["quick", "decrypt", "drill"] = Field(
        default="decrypt",
        description="quick: size and first bytes. decrypt: every record is read. drill: the newest archive is restored "
        "into a scratch store and compared, the older ones are decrypted.",
    )
    cover: Span = Field(default="30d", description="Within this time every stored archive has its turn (14d, 8w).")

    def period(self) -> timedelta:
        """Give the time within which every archive is checked."""
        return span_of(self.cover)


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


class JobSettings(Section):
    """What one job backs up, when, to where, and what it keeps."""

    schedule: ScheduleText | None = Field(
        default=None,
        description="When the daemon runs the job: a crontab line (0 2 * * *), a nickname (@daily), or an interval "
        "(every 6h, or the mapping every: 6h). Without it the job runs only by hand; the one job of a configuration "
        f"without jobs has {DEFAULT_SCHEDULE}.",
    )
    jitter: Duration | None = Field(
        default=None, description="Put each run off by up to this time, so that many machines do not start at once."
    )
    verify: VerifySettings | None = Field(
        default=None, description="When and how what is stored is proved anew. Without it, only right after storing."
    )

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
    hooks: HooksSettings = Field(
        default_factory=HooksSettings, description="Commands of one's own around this job's runs."
    )
    ping: PingSettings | None = Field(
        default=None, description="A dead-man's switch: an address that hears of every run's start and end."
    )

    def jitter_time(self) -> timedelta:
        """Give the longest delay of a run."""
        return span_of(self.jitter) if self.jitter else timedelta(0)


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
