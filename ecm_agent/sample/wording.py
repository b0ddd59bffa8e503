"""The text of chunks: blocks of user, assistant, thinking and tools, put together from ready-made sentences."""

from __future__ import annotations

import json
from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from ecm_agent.sample.shape import dice

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

# fmt: off
_NOUNS = (
    "almanac", "anchor", "badge", "ballot", "basket", "beacon", "bracket", "bucket", "canvas", "carton",
    "chart", "coupon", "courier", "crate", "dial", "drawer", "easel", "envelope", "feeder", "ferry",
    "funnel", "gauge", "gazette", "hinge", "invoice", "kettle", "label", "lantern", "locker", "magnet",
    "manifest", "meter", "notebook", "oven", "paddle", "parcel", "pier", "pulley", "ration", "receipt",
    "ribbon", "roster", "sampler", "shelf", "spool", "stamp", "ticket", "trolley",
)
_VERBS = (
    "archive", "borrow", "collect", "convert", "deliver", "filter", "fold", "group", "import", "label",
    "measure", "merge", "order", "parse", "print", "publish", "refresh", "rename", "render", "resolve",
    "round", "sample", "schedule", "sort", "store", "trim", "update", "verify", "weigh", "wrap",
)
_QUALITIES = (
    "archived", "blank", "colour-coded", "daily", "expired", "foreign", "half-finished", "imported",
    "local", "missing", "nightly", "optional", "overdue", "outdated", "paired", "pending", "quiet",
    "regional", "seasonal", "shared", "spare", "temporary", "untested", "weekly",
)
# fmt: on
_SENTENCES = (
    "Before we {verb} the {noun}, the {quality} {other} has to be checked for blank rows.",
    "I ran the {noun} tests twice, and only the {quality} {other} still fails with code {number}.",
    "Moving {verb}_{noun}() next to the {other} makes the {quality} path easier to follow.",
    "It looks as if every {quality} {noun} is read {number} times before anybody asks for the {other}.",
    "So the {other} is fine; what is wrong is how we {verb} the {noun} that is {quality}.",
    "Keep in mind: {number} {noun} rows are {quality}, and none of them needs the {other} → leave them out.",
    "Let me {verb} the {quality} {noun} first and see whether the {other} changes.",
    "The comment in the {noun} module says “{verb} once”, yet the {quality} {other} does it {number} times.",
    "That would {verb} too much: some {quality} {noun} may well have no {other} at all.",
    "With the {other} out of the way, the {quality} {noun} takes {number} ms instead of a second.",
    "Should the {noun} be {quality}, we {verb} it and write {number} lines to the {other} log.",
    "Nothing else imports the {quality} {noun}, so the {other} can {verb} it directly.",
)
_REQUESTS = (
    "Please have a look at {path}: {sentence}",
    "Why does {path} do this? {sentence}",
    "Add a test for {path}. {sentence}",
    "Could you tidy up {path}? {sentence}",
    "We are not done with {path} yet. {sentence}",
)
_STATEMENTS = {
    "python": (
        "    {noun}_{number} = {verb}_{noun}({other}, limit={number})",
        "    if {noun} is None: return {number}",
    ),
    "typescript": (
        "  const {noun}{number} = await {verb}({other}, {number});",
        "  if (!{noun}) return {other}.{verb}({number});",
    ),
    "sql": (
        "  , sum({noun}.{other}) AS {verb}_{number}",
        "  , coalesce({noun}.{other}, {number}) AS {noun}_{number}",
    ),
    "bash": (
        "{verb}-{noun} --{other} {number} | sort -u",
        "test -e {noun}.{number} || {verb}-{other} -n {number}",
    ),
    "diff": ("-  {verb}({noun}, {number})", "+  {verb}({noun}, {other}, {number})"),
    "": ("{noun:<12} {other:<12} {number:>6}", "{noun}: {verb} {other} ({number} of {number})"),
}
_EXTENSIONS = ("py", "ts", "sql", "md", "yaml", "rs")

_SENTENCE_POOL = 3000
_CODE_POOL = 240
_CODE_LINES = (2, 24)
_ODD_FENCES = 1 / 25
"""How many chunks end inside a code block: the memory program cuts where its size limit falls."""

_GAP = "\n\n"
_LEAST_REST = 40
"""Fewer bytes than this make no block; no sentence is shorter."""

_SIZES = (
    (0.0, 0.05),
    (0.05, 0.25),
    (0.25, 0.7),
    (0.5, 1.02),
    (0.75, 1.25),
    (0.95, 1.5),
    (0.99, 2.0),
    (1.0, 5.7),
)
"""The share of chunks that are smaller than so many times the mean, after measurements of real stores."""


def size(rng: Random, mean: int) -> int:
    """Draw the size of one chunk's content in bytes, at least one."""
    share = rng.random()
    for (low, smaller), (high, larger) in pairwise(_SIZES):
        if share < high:
            return max(1, round(mean * (smaller + (larger - smaller) * (share - low) / (high - low))))
    raise AssertionError(share)


def _fill(rng: Random, template: str) -> str:
    noun, other = rng.sample(_NOUNS, 2)
    verb, quality, number = rng.choice(_VERBS), rng.choice(_QUALITIES), rng.randrange(2, 5000)
    return template.format(noun=noun, other=other, verb=verb, quality=quality, number=number)


@cache
def _sentences() -> list[str]:
    rng = dice(0, "sentences", 0)
    return [_fill(rng, rng.choice(_SENTENCES)) for _ in range(_SENTENCE_POOL)]


@cache
def _code() -> list[tuple[str, str]]:
    rng = dice(0, "code", 0)
    languages = rng.choices(list(_STATEMENTS), k=_CODE_POOL)
    return [(language, _listing(rng, language)) for language in languages]


def _listing(rng: Random, language: str) -> str:
    lines = rng.choices(_STATEMENTS[language], k=rng.randint(*_CODE_LINES))
    return "\n".join(_fill(rng, line) for line in lines)


def _prose(rng: Random, most: int) -> str:
    return " ".join(rng.choices(_sentences(), k=rng.randint(1, most)))


def _path(rng: Random, root: str) -> str:
    separator = "\\" if "\\" in root else "/"
    folder, name = rng.choices(_NOUNS, k=2)
    return separator.join((root, folder, f"{name}.{rng.choice(_EXTENSIONS)}"))


def _request(rng: Random, root: str) -> str:
    template = rng.choice(_REQUESTS)
    return "[User]\n" + template.format(path=_path(rng, root), sentence=rng.choice(_sentences()))


def _thought(rng: Random, _root: str) -> str:
    return "[Thinking]\n" + _prose(rng, 9)


def _answer(rng: Random, root: str) -> str:
    return f"[Assistant]\nI have read `{_path(rng, root)}`. {_prose(rng, 7)}"


def _code_answer(rng: Random, _root: str) -> str:
    language, listing = rng.choice(_code())
    return f"[Assistant]\n{rng.choice(_sentences())}\n```{language}\n{listing}\n```"


def _tool(name: str, arguments: dict[str, str], result: str) -> str:
    return f"[Tool:{name}]\n{json.dumps(arguments, ensure_ascii=False)}\n[Result]\n{result}"


def _edit(rng: Random, root: str) -> str:
    old, new = rng.choices(_sentences(), k=2)
    path = _path(rng, root)
    return _tool("Edit", {"file_path": path, "old_string": old, "new_string": new}, f"{path} has been changed.")


def _read(rng: Random, root: str) -> str:
    return _tool("Read", {"file_path": _path(rng, root)}, rng.choice(_code())[1])


def _bash(rng: Random, root: str) -> str:
    # Each line has a fresh number, or text from a pool would compress far better than a real memory does.
    subjects = rng.choices(_sentences(), k=rng.randint(2, 12))
    log = "\n".join(f"{rng.getrandbits(40):010x} {subject}" for subject in subjects)
    return _tool("Bash", {"command": f"git -C {root} log --oneline"}, log)


_BLOCKS: tuple[Callable[[Random, str], str], ...] = (_thought, _answer, _code_answer, _edit, _read, _bash)
_SHARES = list(accumulate((4, 4, 3, 2, 2, 3)))


def content(rng: Random, root: str, limit: int) -> str:
    """Write a chunk about the project in that folder: `limit` UTF-8 bytes long, or a few less."""
    blocks: list[str] = []
    block, left = _request(rng, root), limit
    while (taken := len(block.encode()) + len(_GAP)) <= left:
        blocks.append(block)
        left -= taken
        block = rng.choices(_BLOCKS, cum_weights=_SHARES)[0](rng, root)
    if not blocks:
        return _cut(block, limit)
    if left >= _LEAST_REST:
        fence = "```\n" if rng.random() < _ODD_FENCES else ""
        words = " ".join(rng.choices(_sentences(), k=1 + left // _LEAST_REST))
        blocks.append(_cut(f"[Assistant]\n{fence}{words}", left))
    return _GAP.join(blocks)


def title(rng: Random) -> str:
    """Name a topic in a few words."""
    noun, other = rng.sample(_NOUNS, 2)
    return f"{rng.choice(_QUALITIES).capitalize()} {noun} and {other}"


def summary(rng: Random) -> str:
    """Describe a topic in a sentence or a few."""
    return _prose(rng, 4)


def _cut(text: str, limit: int) -> str:
    return text.encode()[:limit].decode(errors="ignore")
