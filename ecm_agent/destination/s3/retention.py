"""Archives that nobody may delete yet."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ecm_agent.destination.s3.errors import status_of, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.exceptions import ClientError
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

HINT = "Nothing is wrong: the archive goes with the first rotation after its lock has ended."
_WORDS = re.compile(r"object.?lock|retention|legal.?hold|\bworm\b|by.?lock|\bretained\b")
_DENIALS = {400, 403, 405, 409}


def lock_on(head: HeadObjectOutputTypeDef, now: datetime) -> str:
    """Say what locks an object at this time, "" when nothing does."""
    if head.get("ObjectLockLegalHoldStatus") == "ON":
        return "a legal hold"
    answer: Mapping[str, object] = head  # the library's type says that every key is always there
    until = answer.get("ObjectLockRetainUntilDate")
    if not isinstance(until, datetime) or until <= now:
        return ""
    until = until.astimezone(UTC)
    return f"Object Lock ({head.get('ObjectLockMode')}) until {until:%Y-%m-%d %H:%M} UTC"


def denied_for_a_lock(error: ClientError) -> bool:
    """Tell whether a server's refusal to delete speaks of a lock, not of missing rights."""
    return status_of(error) in _DENIALS and bool(_WORDS.search(text_of(error)))
