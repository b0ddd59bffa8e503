"""A corpus in the shape of real conversations, which knows what was planted in it. Deterministic by seed."""

from __future__ import annotations

import base64
import json
import random
import string
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from redaction import phrases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Kind: TypeAlias = Literal["path", "code", "secret", "name"]
"""What a plant is; a name is that of a user, a home directory or a project, and goes with the paths."""

_CLOSING = {"«": "»", "⟦": "⟧", "⟨": "⟩"}
_KINDS: dict[str, Kind] = {"«": "path", "⟦": "secret"}


@dataclass(frozen=True)
class Plant:
    """Something that must not be found. `form` says how it was written, `marks` are words that stand nowhere else."""

    kind: Kind
    form: str
    text: str
    marks: tuple[str, ...] = ()
    prose: bool = False
    """Whether it stands outside of what tools were given and gave."""


@dataclass
class Conversation:
    """A chunk's text, whose it is, and what is in it: plants, and the lines and fragments that must survive."""

    number: int
    user: str
    slug: str
    project_path: str
    text: str = ""
    plants: list[Plant] = field(default_factory=list)
    innocent: list[str] = field(default_factory=list)


class _Words:
    """Draws made-up words of nine letters; since all are equally long, none is a part of another."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._drawn: set[str] = set()

    def draw(self) -> str:
        while True:
            letters = [self._rng.choice("bdfgklmnprstvz" if at % 2 == 0 else "aeiou") for at in range(9)]
            if (word := "".join(letters)) not in self._drawn:
                self._drawn.add(word)
                return word

    def opaque(self, length: int, letters: str = string.ascii_letters + string.digits) -> str:
        return "".join(self._rng.choices(letters, k=length))


@dataclass(frozen=True)
class _Person:
    user: str
    home: str
    project: str
    """Of a project; `{}` is where its made-up name goes."""


_PEOPLE = (
    _Person("ada", "/home/ada", "/home/ada/src/{}"),
    _Person("mira", "/Users/mira", "/Users/mira/My Work {}"),
    _Person("jonas", "C:\\Users\\jonas", "C:\\Users\\jonas\\dev\\{}"),
    _Person("zoë", "/home/zoë", "/home/zoë/проекты/{}"),
    _Person("alice", "/mnt/c/Users/alice", "/mnt/c/Users/alice/{}"),
)


class _Author:
    """Writes one conversation."""

    def __init__(self, conversation: Conversation, rng: random.Random, words: _Words) -> None:
        self.conversation = conversation
        self._rng = rng
        self._words = words
        self._sections: list[str] = []

    def section(self, heading: str, *paragraphs: str) -> None:
        self._sections.append("\n".join((f"[{heading}]", *paragraphs)))

    def text(self) -> str:
        return "\n\n".join(self._sections)

    def prose(self, lines: int, *, plain: bool = False, doubtful: bool = False) -> str:
        """Write lines that must survive, unless it is doubtful that they are no code."""
        chosen = self._rng.sample(phrases.INNOCENT if plain else phrases.INNOCENT + phrases.MARKDOWN, lines)
        self.conversation.innocent += () if doubtful else chosen
        return "\n\n".join(chosen)

    def address(self) -> str:
        line, host = self._rng.choice(phrases.HOSTS)
        self.conversation.innocent.append(host)
        return line

    def phrase(self, form: str, template: str, *, prose: bool = True) -> str:
        """Fill a phrase in and note what it plants; only in `prose` its other parts must survive."""
        drawn = {name: self._words.draw() for name in "abc"}
        filled = template.format(
            **drawn, **self._secrets(), user=self.conversation.user, project=self.conversation.project_path
        )
        return "".join(self._noted(form, filled, tuple(drawn.values()), prose=prose))

    def code(self, form: str, template: str) -> str:
        """Fill a block of code in, each line of it another."""
        while "{code}" in template:
            word = self._words.draw()
            line = f"{word} = gather({self._words.draw()}, limit={self._rng.randrange(9000)})"
            self.conversation.plants.append(Plant("code", form, line, (word,)))
            template = template.replace("{code}", line, 1)
        return template.replace("{{", "{").replace("}}", "}")

    def _noted(self, form: str, filled: str, words: tuple[str, ...], *, prose: bool) -> Iterator[str]:
        rest = filled
        while opening := next((mark for mark in rest if mark in _CLOSING), ""):
            before, _, rest = rest.partition(opening)
            marked, _, rest = rest.partition(_CLOSING[opening])
            if opening in _KINDS:
                marks = tuple(word for word in words if word in marked)
                self.conversation.plants.append(Plant(_KINDS[opening], form, marked, marks, prose))
            elif prose:
                self.conversation.innocent.append(marked)
            yield before + marked
        yield rest

    def _secrets(self) -> dict[str, str]:
        opaque, upper = self._words.opaque, string.ascii_uppercase + string.digits
        parts = (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"%s"}' % self._words.draw().encode(), opaque(32).encode())
        return {
            "aws": "AKIA" + opaque(16, upper),
            "github": "ghp_" + opaque(36),
            "fine": "github_pat_" + opaque(22) + "_" + opaque(59),
            "gitlab": "glpat-" + opaque(20),
            "slack": f"xoxb-{opaque(12, string.digits)}-{opaque(12, string.digits)}-{opaque(24)}",
            "stripe": "sk_live_" + opaque(24),
            "google": "AIza" + opaque(35),
            "npm": "npm_" + opaque(36),
            "anthropic": "sk-ant-api03-" + opaque(93) + "AA",
            "openai": "sk-" + opaque(20) + "T3BlbkFJ" + opaque(20),
            "jwt": ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts),
            "opaque": opaque(28),
            "letters": opaque(28, string.ascii_letters),
            "basic": base64.b64encode(f"{self._words.draw()}:{opaque(12)}".encode()).decode(),
            "line": opaque(64, string.ascii_letters + string.digits + "+/"),
            "line2": opaque(64, string.ascii_letters + string.digits + "+/"),
        }


class Corpus:
    """Conversations of a few people, each of whom has a home directory that some text names."""

    def __init__(self, seed: int = 1, rounds: int = 2) -> None:
        self.seed = seed
        rng = random.Random(seed)  # noqa: S311 (to be repeatable is the point)
        words = _Words(rng)
        self.conversations: list[Conversation] = []
        for number, topic in enumerate(_topics(rounds)):
            person = _PEOPLE[number % len(_PEOPLE)]
            name = words.draw()
            project = person.project.format(name)
            conversation = Conversation(number, person.user, f"-work-{name}", project)
            author = _Author(conversation, rng, words)
            topic(author)
            conversation.text = author.text()
            conversation.plants += [
                Plant("name", "slug", conversation.slug, (name,)),
                Plant("name", "project path", project, (name,)),
                Plant("name", "home", person.home),
                Plant("name", "user", person.user),
            ]
            self.conversations.append(conversation)

    @property
    def plants(self) -> list[Plant]:
        return [plant for one in self.conversations for plant in one.plants]


def _topics(rounds: int) -> Iterator[Callable[[_Author], None]]:
    """Give what the conversations are about: every phrase once a round, with something else around it."""
    talks = (
        (_talk_of_path, phrases.PATHS),
        (_use_of_tool, phrases.RESULTS),
        (_talk_of_path, phrases.SECRETS),
        (_talk_of_code, phrases.BLOCKS),
        (_code_without_end, phrases.UNCLOSED),
    )
    for _ in range(rounds):
        for talk, templates in talks:
            for form, template in templates.items():
                yield partial(talk, form=form, template=template)


def _talk_of_path(author: _Author, form: str, template: str) -> None:
    author.section("User", author.phrase(form, template), "", author.prose(2))
    author.section("Thinking", author.prose(2), author.phrase(form, template))
    author.section("Assistant", author.prose(1), "", author.phrase(form, template), "", author.address())
    _edit(author, form, template)


def _use_of_tool(author: _Author, form: str, template: str) -> None:
    user = author.conversation.user
    author.section("User", author.prose(2), "", f"{user} pushed it yesterday; ask {user}.")
    _bash(author)
    author.section("Result", author.phrase(form, template, prose=False))
    author.section("Assistant", author.prose(3))
    author.section("Result", "<tool_use_error>" + author.phrase(form, template, prose=False) + "</tool_use_error>")
    author.section("Assistant", author.prose(1), "", author.address())


def _talk_of_code(author: _Author, form: str, template: str) -> None:
    author.section("User", author.prose(1, plain=True), "", author.code(form, template))
    author.section("Assistant", author.prose(2, plain=True), "", author.code(form, template), "", author.prose(2))
    _write(author)
    author.section("Assistant", author.prose(2))


def _code_without_end(author: _Author, form: str, template: str) -> None:
    """Leave a block open, twice. What stands between the two is code by one reading of the fences, prose by another."""
    author.section("User", author.prose(2))
    author.section("Assistant", author.prose(1), "", author.code(form, template))
    author.section("User", author.prose(2, doubtful=True))
    fence = author.code("fence after one", "```\n{code}\n```")
    author.section("Assistant", author.prose(1, doubtful=True), "", fence)
    author.section("User", author.prose(1, doubtful=True))
    last = author.code(f"{form}, at the end", template)
    author.section("Assistant", author.prose(1, doubtful=True), "", last)


def _edit(author: _Author, form: str, template: str) -> None:
    old = author.code("edit", "def old():\n    {code}")
    arguments = {
        "file_path": author.phrase("argument", "«/home/{user}/{a}/{b}.py»", prose=False),
        "old_string": old,
        "new_string": author.phrase(f"{form}, in JSON", f"# {template}\n", prose=False),
    }
    author.section("Tool:Edit", json.dumps(arguments, ensure_ascii=author.conversation.number % 2 == 0))
    author.section("Result", author.phrase("edited", "The file «/home/{user}/{a}/{b}.py» was updated.", prose=False))


def _write(author: _Author) -> None:
    arguments = {
        "file_path": author.phrase("argument", "«C:\\Users\\{user}\\{a}\\{b}.py»", prose=False),
        "content": author.code("write", "{code}\n{code}\n"),
    }
    author.section("Tool:Write", json.dumps(arguments, indent=2 if author.conversation.number % 2 else None))


def _bash(author: _Author) -> None:
    command = author.phrase("command", "cd '«/home/{user}/{a} b/{b}»' && cat «{c}/x.py» | head", prose=False)
    author.section("Tool:Bash", json.dumps({"command": command, "timeout": 1000}))
