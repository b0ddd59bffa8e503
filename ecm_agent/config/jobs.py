"""The keys of a job: what it backs up, when, to where, what it keeps, and what happens around its runs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from ecm_agent.config.destinations import Section
from ecm_agent.config.values import (
    SEPARATED_BY_COMMAS,
    Commands,
    Count,
    CountOfSome,
    Duration,
    Names,
    ScheduleText,
    SecretText,
    Span,
    VariableName,
    plain,
    span_of,
)
from ecm_agent.errors import UsageError
from ecm_agent.model.manifest import Redaction
from ecm_agent.model.schema import MEMORY_TABLES

if TYPE_CHECKING:
    from ecm_agent.retention import Policy

DEFAULT_SCHEDULE = "0 2 * * *"
DEFAULT_RETENTION = {"keep_daily": 7, "keep_weekly": 4, "keep_monthly": 12}


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
    lastly: Commands = Field(
        default=[], alias="finally", description="Run at the end, whatever happened, Ctrl-C and SIGTERM included."
    )
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
    vectors: bool | None = Field(
        default=None,
        description="Whether to back up the embedding vectors. Not said, they are, unless something is redacted: texts "
        "can be guessed from vectors.",
    )
    exclude_tables: Names = Field(
        default=[],
        description="Tables to leave out of the archives, by name, such as caches (embedding_cache). The memory's own "
        "tables cannot be left out.",
    )
    redact: Annotated[list[Redaction], SEPARATED_BY_COMMAS] = Field(
        default=[],
        description="What to take out of the texts, to share the archives: paths, code, secrets. A redacted archive is "
        "no backup: it does not give back what was taken out.",
    )
    hooks: HooksSettings = Field(
        default_factory=HooksSettings, description="Commands of one's own around this job's runs."
    )
    ping: PingSettings | None = Field(
        default=None, description="A dead-man's switch: an address that hears of every run's start and end."
    )

    @field_validator("exclude_tables", mode="after")
    @classmethod
    def _leaves_the_memory_in(cls, tables: list[str]) -> list[str]:
        if kept := sorted(set(tables) & MEMORY_TABLES):
            raise plain(f"cannot leave out {', '.join(kept)}: the memory itself")
        return tables

    def jitter_time(self) -> timedelta:
        """Give the longest delay of a run."""
        return span_of(self.jitter) if self.jitter else timedelta(0)
