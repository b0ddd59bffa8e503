"""What is shared tells nothing of what was to be taken out, and all of the rest."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import builders
import pytest
from redaction.corpus import Corpus, Plant
from redaction.detector import Detector, Leak
from redaction.sharing import ALL, KEY, document, exported, memory_of, texts

from ecm_agent.archive import open_archive
from ecm_agent.model.records import RECORD_TYPES
from ecm_agent.redaction.known import Known
from ecm_agent.redaction.text import TextRedactor
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.model.manifest import Redaction

SURVIVING = 0.99
"""The share of innocent text that must survive word for word."""


@pytest.fixture(scope="module", params=[1, 2])
def corpus(request: pytest.FixtureRequest) -> Corpus:
    return Corpus(seed=request.param)


@pytest.fixture(scope="module")
def store(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> SqliteStore:
    return memory_of(corpus, tmp_path_factory.mktemp("shared") / "memory.db")


def told(leaks: list[Leak]) -> str:
    """Say what leaked: how often in which form, with an example of each."""
    counts = Counter((leak.kind, leak.form) for leak in leaks)
    examples = {(leak.kind, leak.form): leak for leak in leaks}
    return "\n".join(
        f"{count} times {form}: {examples[form].found!r} in {examples[form].around!r}" for form, count in counts.items()
    )


def of_kinds(corpus: Corpus, *kinds: str) -> list[Plant]:
    return [plant for plant in corpus.plants if plant.kind in kinds]


def lost(corpus: Corpus, archive: bytes) -> list[str]:
    """Give the innocent lines and fragments that did not survive, as often as they did not."""
    return [
        fragment
        for conversation, text in zip(corpus.conversations, texts(archive), strict=True)
        for fragment in conversation.innocent
        if fragment not in text
    ]


def assert_innocent_survives(corpus: Corpus, archive: bytes) -> None:
    gone, total = lost(corpus, archive), sum(len(one.innocent) for one in corpus.conversations)
    assert len(gone) <= (1 - SURVIVING) * total, f"of {total}: {Counter(gone).most_common()}"


def test_the_detector_finds_everything_in_what_is_not_redacted(corpus: Corpus, store: SqliteStore) -> None:
    """In an export of the same store without redaction, every single plant is found, and nothing innocent is lost."""
    archive = exported(store, ())
    assert len(Detector(archive).leaks(corpus.plants)) == len(set(corpus.plants)) > 2000
    assert lost(corpus, archive) == []


def test_nothing_planted_is_in_what_is_shared(corpus: Corpus, store: SqliteStore) -> None:
    """With everything to be taken out, no path, home, user, project, line of code or secret is in any byte."""
    assert told(Detector(exported(store)).leaks(corpus.plants)) == ""


@pytest.mark.parametrize("redact", [ALL, ("paths",), ("code",), ("secrets",)], ids="+".join)
def test_ordinary_text_survives(corpus: Corpus, store: SqliteStore, redact: tuple[Redaction, ...]) -> None:
    """Of sentences, addresses' hosts and what stands around a plant, 99 of 100 are there word for word."""
    assert_innocent_survives(corpus, exported(store, redact))


def test_paths_alone(corpus: Corpus, store: SqliteStore) -> None:
    """Without paths and names, code and secrets are still there."""
    archive = exported(store, ("paths",))
    assert told(Detector(archive).leaks(of_kinds(corpus, "path", "name"))) == ""
    left = of_kinds(corpus, "code", "secret")
    assert len(Detector(archive).leaks(left)) >= 0.97 * len(left)


def test_code_alone(corpus: Corpus, store: SqliteStore) -> None:
    """Without code, the paths and secrets that people spoke of are still there."""
    archive = exported(store, ("code",))
    assert told(Detector(archive).leaks(of_kinds(corpus, "code"))) == ""
    left = [plant for plant in of_kinds(corpus, "path", "secret") if plant.prose]
    assert len(Detector(archive).leaks(left)) >= 0.97 * len(left)


def test_secrets_alone(corpus: Corpus, store: SqliteStore) -> None:
    """Without secrets, paths and code are still there."""
    archive = exported(store, ("secrets",))
    assert told(Detector(archive).leaks(of_kinds(corpus, "secret"))) == ""
    left = of_kinds(corpus, "path", "code")
    assert len(Detector(archive).leaks(left)) >= 0.97 * len(left)


def redactor_of(corpus: Corpus, kinds: tuple[Redaction, ...]) -> TextRedactor:
    known = Known()
    for conversation in corpus.conversations:
        known.learn_text(conversation.text)
        known.learn_path(conversation.project_path)
    return TextRedactor(kinds, known)


def left_in(cut: str, plants: list[Plant]) -> list[Plant]:
    """Give what a beginning of a text holds, if only in part: of code a dozen characters, of paths one of its words.

    What follows a heading in a block that is cut off before its end may as well be prose, and is left out.
    """
    left = [replace(plant, marks=tuple(mark for mark in plant.marks if mark in cut)) for plant in plants]
    paths = [plant for plant in left if plant.kind == "path" and plant.marks]
    lines = [plant for plant in left if plant.kind == "code" and plant.text[:12] in cut]
    secrets = [plant for plant in left if plant.kind == "secret" and plant.text in cut]
    return [plant for plant in paths + lines + secrets if plant.form != "holding a heading"]


def test_a_text_that_is_cut_off_anywhere_hides_what_it_held(corpus: Corpus) -> None:
    """A text that ends in the middle of a block, an argument or a line gives nothing away that stands in it whole."""
    redactor, rng = redactor_of(corpus, ALL), random.Random(corpus.seed)  # noqa: S311 (to be repeatable is the point)
    leaks = []
    for conversation in corpus.conversations:
        for _ in range(3):
            cut = conversation.text[: rng.randrange(len(conversation.text))]
            leaks += Detector(json.dumps([redactor.redact(cut)]).encode()).leaks(left_in(cut, conversation.plants))
    assert told(leaks) == ""


@pytest.mark.parametrize("redact", [ALL, ("paths",), ("code",), ("secrets",)], ids="+".join)
def test_a_text_redacted_twice_is_as_redacted_once(corpus: Corpus, redact: tuple[Redaction, ...]) -> None:
    """Redaction changes nothing in what it has made itself, and counts nothing there."""
    redactor = redactor_of(corpus, redact)
    once = [redactor.redact(conversation.text) for conversation in corpus.conversations]
    counts = Counter(redactor.found)
    again = TextRedactor(redact, Known())
    assert [again.redact(text) for text in once] == once
    assert [redactor.redact(text) for text in once] == once
    assert (redactor.found, again.found.total()) == (counts, 0)


def test_an_archive_redacted_twice_is_as_redacted_once(corpus: Corpus, store: SqliteStore, tmp_path: Path) -> None:
    """What was shared, imported elsewhere and shared again says the same in every record, whatever the key."""
    first = exported(store)
    archive, there = open_archive(io.BytesIO(first), None), SqliteStore(tmp_path / "there.db")
    there.create()
    builders.execute(there.path, "ALTER TABLE chunks ADD COLUMN project_path TEXT")
    there.replace(archive.manifest, archive.batches())
    for key in (KEY, b"another"):
        again = exported(there, key=key)
        assert {kind.section: document(again).get(kind.section) for kind in RECORD_TYPES} == {
            kind.section: document(first).get(kind.section) for kind in RECORD_TYPES
        }
        assert set(document(again)["metadata"]["redactions"].values()) == {0}
        assert told(Detector(again).leaks(corpus.plants)) == ""
