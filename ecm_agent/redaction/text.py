"""One text: what is to be found in it is replaced by tokens, and counted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ecm_agent.redaction import code, secrets
from ecm_agent.redaction.paths import PathFinder
from ecm_agent.redaction.tokens import CODE, FENCED_CODE, PATH, SECRET

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ecm_agent.model.manifest import Redaction
    from ecm_agent.redaction.known import Known


class TextRedactor:
    """Replaces what it was asked to find: code first, then secrets in what is left, then paths."""

    def __init__(self, kinds: Collection[Redaction], known: Known) -> None:
        self._kinds = kinds
        self._paths = PathFinder(known)
        self.found: Counter[Redaction] = Counter()
        """How many replacements were made, by kind."""

    def redact(self, text: str) -> str:
        """Give the text without what was found in it."""
        if "code" in self._kinds:
            text = self._replace(
                "code", text, [_code(text, start, end, block) for start, end, block in code.spans(text)]
            )
        if "secrets" in self._kinds:
            text = self._replace("secrets", text, [(start, end, SECRET) for start, end in secrets.spans(text)])
        if "paths" in self._kinds:
            text = self._replace("paths", text, [(start, end, PATH) for start, end in self._paths.spans(text)])
        return text

    def _replace(self, kind: Redaction, text: str, replacements: Sequence[tuple[int, int, str]]) -> str:
        if not replacements:
            return text
        kept, at = [], 0
        for start, end, token in replacements:
            kept += [text[at:start], token]
            at = end
            self.found[kind] += text[start:end] != token
        return "".join([*kept, text[at:]])


def _code(text: str, start: int, end: int, block: bool, /) -> tuple[int, int, str]:
    """Give the replacement of a piece of code: a block stands in a fence, on lines of its own."""
    if not block:
        return start, end, CODE
    before = "" if start == 0 or text[start - 1] == "\n" else "\n"
    after = "" if end == len(text) or text[end] == "\n" else "\n"
    return start, end, f"{before}{FENCED_CODE}{after}"
