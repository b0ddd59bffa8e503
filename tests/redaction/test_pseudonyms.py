"""Pseudonyms: the same for the same name, another for another, and nothing to be learnt from one."""

from __future__ import annotations

from ecm_agent.redaction.pseudonyms import Pseudonyms


def test_a_name_has_one_pseudonym_for_each_kind_and_key() -> None:
    """The same name gives the same pseudonym; another name, kind or key gives another."""
    drawn = Pseudonyms(b"key")
    assert drawn.of("tides", "project") == Pseudonyms(b"key").of("tides", "project")
    others = [drawn.of("kites", "project"), drawn.of("tides", "name"), Pseudonyms(b"other").of("tides", "project")]
    assert len({drawn.of("tides", "project"), *others}) == 4
    assert drawn.of("tides", "project").startswith("project-")


def test_a_pseudonym_is_its_own() -> None:
    """What was drawn once is not drawn again, by whatever key; nor is the empty name. What only looks so is."""
    once = Pseudonyms(b"key").of("tides", "project")
    assert Pseudonyms(b"other").of(once, "project") == once
    assert Pseudonyms(b"key").of("", "project") == ""
    for name in ("project-", "project-tides", f"{once}0", f"x{once}", once.upper()):
        assert Pseudonyms(b"key").of(name, "project") != name


def test_a_name_of_any_characters_has_a_pseudonym() -> None:
    """Half a surrogate pair, as paths may hold, and text of any script are names as well."""
    names = ["\udc80", "编译器", "a\0b", "ab", "a b"]
    assert len({Pseudonyms(b"key").of(name, "name") for name in names}) == 5
