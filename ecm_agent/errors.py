"""The one tree of errors: what went wrong, what to do about it, and the exit code it ends with.

Every error a user can meet is an `EcmError`. Its message is one sentence that names the thing; its `hint` says
what to do; its class fixes the exit code, so that a script can tell a wrong password from a damaged archive.
"""

from __future__ import annotations

from typing import ClassVar

PARTIAL = 3
"""Exit code of what was done, but not everything; no error, so no class."""


class EcmError(Exception):
    """The operation failed (exit 1)."""

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "failed"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(EcmError):
    """The command line or the configuration asks for something impossible (exit 2)."""

    exit_code = 2
    kind = "usage"


class PasswordMissing(UsageError):
    """A password is needed and no source gave one (exit 2)."""

    kind = "password_missing"


class NotFound(EcmError):
    """No such archive or destination (exit 10)."""

    exit_code = 10
    kind = "not_found"


class LockHeld(EcmError):
    """Another process is working on the same job (exit 11)."""

    exit_code = 11
    kind = "lock_held"


class DecryptionFailed(EcmError):
    """The password does not open the archive (exit 12)."""

    exit_code = 12
    kind = "decryption_failed"


class ArchiveInvalid(EcmError):
    """The file is no archive, or a damaged one (exit 13)."""

    exit_code = 13
    kind = "archive_invalid"


class StoreUnreadable(EcmError):
    """The memory store cannot be read or written (exit 14)."""

    exit_code = 14
    kind = "store_unreadable"


class DestinationRefused(EcmError):
    """A destination did not take, give or delete an archive, and trying again will not help (exit 15)."""

    exit_code = 15
    kind = "destination_refused"


class DestinationUnavailable(DestinationRefused):
    """A destination is out of reach for now; trying again later may help (exit 15)."""

    kind = "destination_unavailable"


class AlreadyExists(DestinationRefused):
    """A destination already holds an archive of that name; archives are never overwritten (exit 15)."""

    kind = "already_exists"


class MergeConflicts(EcmError):
    """Two memories say different things of the same records, and nothing tells which is right (exit 16)."""

    exit_code = 16
    kind = "merge_conflicts"


class HookFailed(EcmError):
    """A command of the user's own, run around a job, failed, took too long or is missing (exit 1)."""

    kind = "hook_failed"


class Skipped(EcmError):
    """The run was left out on purpose: a `before` command asked for it (exit 75)."""

    exit_code = 75
    kind = "skipped"


class Retained(DestinationRefused):
    """A destination keeps an archive because it is locked against deletion, as it was told to (exit 15)."""

    kind = "retained"
