"""What a test's web server remembers."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Web:
    """`asked` are method and target of the requests, `bodies` and `headers` theirs; `answers` are given in turn."""

    address: str = ""
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[tuple[int, str]] = field(default_factory=list)
