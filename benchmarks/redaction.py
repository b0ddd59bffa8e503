"""How fast redaction is, by finder and in all: megabytes of text a second, and seconds for texts made to be slow.

    PYTHONPATH=. python benchmarks/redaction.py [megabytes]

The corpus is the sample memory, with blocks of the kinds it lacks (listings, diffs, stack traces, prompts) strewn in.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from itertools import cycle, takewhile
from typing import TYPE_CHECKING

from ecm_agent.model.records import Chunk
from ecm_agent.redaction import code, secrets
from ecm_agent.redaction.known import Known
from ecm_agent.redaction.paths import PathFinder
from ecm_agent.redaction.text import TextRedactor
from ecm_agent.sample import Shape, batches

if TYPE_CHECKING:
    from collections.abc import Callable

MEGABYTE = 1_000_000
CHUNK_BYTES = 10_000
ADVERSARIAL_BYTES = 5 * MEGABYTE
ADVERSARIAL = (
    *("/", "\\", "`", "```", "~", "~~~\n", "a.", "@", "a@", " ", '"', "'", "/a b", "C:\\", "%", "%2F", "key=", "eyJ"),
    *("\n", "\\n", "/(", "/{", '"/a b', "a/b:", "https://", "file://", "-Users-", "C:\\a b\\", "\\ ", "a\\b "),
)
EXTRAS = (
    '[Result]\nsrc/app/main.py:12:3: error: x\n  File "/srv/app/lib/x.py", line 3, in f\n    return a / b',
    "[Result]\ndiff --git a/src/x.py b/src/x.py\n--- a/src/x.py\n+++ b/src/x.py\n@@ -1,3 +1,4 @@\n+import os",
    "[Result]\nmira@laptop:~/src/app$ ls -l\ndrwxr-xr-x 2 mira mira 4096 Jan  1 10:00 src\nsee https://example.com/a/b",
    '[Tool:Edit]\n{"file_path": "C:\\\\Users\\\\mira\\\\x.ts", "old_string": "a\\n\\tb and/or c", "new_string": "1/2"}',
)


def corpus(megabytes: float) -> list[str]:
    """Make conversations of that size altogether, the same on every machine."""
    shape = Shape(chunks=int(megabytes * MEGABYTE / CHUNK_BYTES), text_bytes=CHUNK_BYTES)
    chunks = takewhile(
        lambda record: isinstance(record, Chunk), (record for batch in batches(shape) for record in batch)
    )
    texts = [chunk.content for chunk in chunks if isinstance(chunk, Chunk)]
    return [f"{text}\n\n{extra}" for text, extra in zip(texts, cycle(EXTRAS), strict=False)]


def finders(texts: list[str]) -> dict[str, Callable[[str], object]]:
    """Give what is measured, by name."""
    known = Known()
    for text in texts:
        known.learn_text(text)
    together = TextRedactor(("paths", "code", "secrets"), known)
    return {
        "code": code.spans,
        "secrets": secrets.spans,
        "paths": PathFinder(known).spans,
        "together": together.redact,
    }


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def speed(texts: list[str], spans: Callable[[str], object]) -> float:
    """Measure megabytes (UTF-8) a second: the best of three."""
    size = sum(len(text.encode()) for text in texts) / MEGABYTE
    return size / min(seconds(lambda: [spans(text) for text in texts]) for _ in range(3))


def report(megabytes: float) -> None:
    texts = corpus(megabytes)
    begin = time.perf_counter()
    by_name = finders(texts)
    print(f"learning  {megabytes / (time.perf_counter() - begin):7.0f} MB/s")
    for name, spans in by_name.items():
        print(f"{name:8}  {speed(texts, spans):7.0f} MB/s")
    for piece in ADVERSARIAL:
        text = piece * (ADVERSARIAL_BYTES // len(piece))
        times = [f"{name} {seconds(partial(spans, text)):5.2f} s" for name, spans in by_name.items()]
        print(f"{piece!r:12} {'  '.join(times)}")


if __name__ == "__main__":
    report(float(sys.argv[1]) if len(sys.argv) > 1 else 20)
