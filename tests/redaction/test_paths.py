"""Finding paths and names: a table of cases, and the laws every text obeys."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecm_agent.redaction.known import Known
from ecm_agent.redaction.paths import MOST_STARTS, PathFinder

TOKEN = "[REDACTED_PATH]"
PROJECTS = (
    "/Users/mira/Projects/acme",
    "/home/jonas/src/My Project",
    "C:\\Users\\ada smith\\dev",
    "/srv/build/scaler",
    "/home/zoë/x",
)
LETTERS = (
    *("/", "\\", "\\\\", "a", "b", "mira", "Mira", " ", ".", "py", "src", "x", "-", "Users", "home", "~", "$", "%2F"),
    *("%5C", ":", "//", "https://", "C:", "\n", "\\n", '"', "'", "`", "(", ")", "[", "]", "{", "}", "#L12", "*", "<"),
    *(">", "=", "&", "?", "+", "@", "1", "com", TOKEN, "[REDACTED_SECRET]", "file://", "%", "_", "\\ ", "etc", ","),
    *("\\/", "-Users-mira-", "é", "C%3A", "!", "/home/jonas/src/My Project"),
    *(
        "\\u00eb",
        "\\u201c",
        "zo\\u00eb",
        "\\\\ ",
        "...",
        "…",
        "[User]",
        "My ",
        "Disk/",
        "Wed/Fri",
        "${HOME}",
        "[file://",
        ".py",
    ),
)
DENSE = (
    *("/", "\\", "`", "~", "a.", "@", "a@", "a@a.", " ", '"', "'", "/a b", "/a b/a b ", "C:\\", "C:\\a b", "%", "%2F"),
    *("key=", "eyJ", "\n", "/(", "/([", "/{", '"/a b', "'/a ", "\\n", "a\\n/", "a\\nb", "\\\\", "/a#L1", "/.", "a/b:"),
    *("https://", "file://", "-Users-", "mira", "a", "${a}/", "C:\\a b\\", "/home/jonas/src/My ", "\\ ", "/\\ "),
    *(
        "\\u00eb",
        "\\u201c",
        "/\\u00eb",
        "\\\\u00eb",
        "\\\\ ",
        "a\\u00eb/",
        "/A B/",
        "/A B ",
        '"/A B',
        "a\\b(",
        "a/b/c\n",
        "${",
    ),
)


def finder(*paths: str, text: str = "") -> PathFinder:
    known = Known()
    for path in paths:
        known.learn_path(path)
    known.learn_text(text)
    return PathFinder(known)


FINDER = finder(*PROJECTS)


def redacted(text: str, paths: PathFinder = FINDER) -> str:
    pieces, position = [], 0
    for start, end in paths.spans(text):
        assert position <= start < end, "spans are sorted, apart and not empty"
        pieces += [text[position:start], TOKEN]
        position = end
    return "".join([*pieces, text[position:]])


def table() -> list[tuple[str, str, str]]:
    """Read the cases: claim, text, what is left of it."""
    cases, claim, text = [], "", ""
    for line in Path(__file__).with_name("paths.txt").read_text(encoding="utf-8").splitlines():
        mark, rest = line[:2], line[2:].replace("⏎", "\n")
        if line.startswith("## "):
            claim = line[3:]
        elif mark == "= ":
            cases.append((claim, rest, rest))
        elif mark == "+ ":
            cases.append((claim, text, rest.replace("[PATH]", TOKEN)))
        text = rest
    return cases


@pytest.mark.parametrize(("claim", "text", "expected"), table())
def test_each_case_of_the_table_comes_out_as_written(claim: str, text: str, expected: str) -> None:
    """What is a path goes, what is none stays: the claim is the heading of the group in paths.txt."""
    assert redacted(text) == expected, claim


@pytest.mark.parametrize(("claim", "text", "expected"), table())
def test_redacting_the_table_again_changes_nothing(claim: str, text: str, expected: str) -> None:
    """What is left of a case holds no path any more."""
    assert redacted(expected) == expected, (claim, text)


@given(st.lists(st.sampled_from(LETTERS), max_size=12).map("".join))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    """Nothing beside a token turns into a path, and no token is part of a span, however the text is put together."""
    once = redacted(text)
    assert redacted(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "C%3AC%3A\n.py[file://file://]",
        "C%3AC%3A\\n.py[file://file://]",
        "https://[a/b/c-I/file://]",
        "https://(a%2Fb%2Fc.pymira)",
        "(a%2Fb%2Fc.py${HOME}/x",
        "a.b\\c.py${HOME}/x",
        "a.b\\c.py\\n?mira",
        "home\\n.py(mira)",
        "zo\\u00ebvscode:///home/jonas",
        "file://[User]",
        "file://[REDACTED_SECRET]/a/b[REDACTED_CODE]/x/y",
    ],
)
def test_junk_that_was_a_path_in_the_second_pass_only(text: str) -> None:
    """What is left open by a replacement (brackets, lines, variables) is no path the second time."""
    once = redacted(text)
    assert redacted(once) == once
    assert once.count("[REDACTED_SECRET]") == text.count("[REDACTED_SECRET]")


@given(st.text(max_size=60))
def test_any_text_has_sorted_spans_that_lie_apart(text: str) -> None:
    """Spans are sorted, apart, within the text and not empty, and so for every text there is."""
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize("piece", DENSE)
def test_no_text_takes_more_than_linear_time(piece: str) -> None:
    """Twice as much of the same takes about twice as long: far from the square, with room for a busy machine."""

    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        begin = time.process_time()
        FINDER.spans(text)
        Known().learn_text(text)
        return time.process_time() - begin

    assert seconds(400_000) < 0.1 + 8 * min(seconds(100_000), seconds(100_000))


def test_a_text_of_nothing_but_paths_ends_in_one_token() -> None:
    """After as many places as no conversation has, the rest of a text goes whole, and stays gone the second time."""
    once = redacted("x/y " * (MOST_STARTS + 9) + "/a/b")
    assert once == "x/y " * (MOST_STARTS - 1) + "x/y" + TOKEN
    assert redacted(once) == once


@pytest.mark.parametrize(
    "home",
    [
        "/home/{}/x",
        "/Users/{}",
        "/var/home/{}/x",
        "C:\\Users\\{}\\x",
        "c:\\users\\{}\\x",
        "C:\\\\Users\\\\{}\\\\x",
        "/mnt/c/Users/{}/x",
        "/c/Users/{}/x",
        "C:/Users/{}/x",
        "%2FUsers%2F{}%2Fx",
        "C%3A%5CUsers%5C{}%5Cx",
        "\\/home\\/{}\\/x",
        "file:///home/{}/x",
        "-Users-{}-Projects",
        "C--Users-{}-x",
        "C:\\Documents and Settings\\{}\\x",
    ],
)
def test_a_name_is_learned_from_a_home_in_any_writing(home: str) -> None:
    """Whoever's home a text mentions is known from then on, and redacted as a word elsewhere."""
    known = Known()
    known.learn_text(f"see {home.format('someone1')}")
    assert known.names == {"someone1"}
    assert redacted("by someone1.", PathFinder(known)) == f"by {TOKEN}."


@pytest.mark.parametrize(
    "name", ["ubuntu", "runner", "node", "user", "Shared", "li", "42", "<name>", "$USER", "index.html", "*"]
)
def test_what_names_nobody_is_not_learned(name: str) -> None:
    """Generic accounts, short names, numbers, placeholders and files under a home are no users."""
    known = Known()
    known.learn_text(f"/home/{name}/x and /Users/{name}/y")
    assert known.names == frozenset()


@pytest.mark.parametrize("name", ["ubuntu", "li", "runner"])
def test_a_home_of_nobody_known_goes_all_the_same(name: str) -> None:
    """A path is a path whether or not its user is learned; the name alone stays."""
    assert redacted(f"/home/{name}/x of {name}, -home-{name}-x") == f"{TOKEN} of {name}, {TOKEN}"


def test_a_name_that_is_a_word_counts_where_an_account_stands() -> None:
    """A user called `will` costs no sentence its verb; `~will`, `will@host` and paths go."""
    paths = finder(f"/home/{'will'}/x")
    assert (
        redacted("it will, ~will; will@host; feature/will", paths) == f"it will, ~{TOKEN}; {TOKEN}@host; feature/will"
    )


def test_a_name_before_prose_with_a_backslash_is_learned() -> None:
    """Words behind a home that could be part of its name do not keep the name from being learned."""
    assert redacted("mira", finder(text="C:\\Users\\mira and src\\x")) == TOKEN
    assert redacted("mira.lee", finder(text="/home/mira.lee/x")) == TOKEN


def test_a_name_is_learned_from_json_and_found_in_it() -> None:
    """A home whose letters JSON has escaped gives the whole name, which is found escaped and plain, and in slugs."""
    for home in ("/home/andr\\u00e9/x", "C:\\\\Users\\\\andr\\u00e9\\\\x", "-Users-andr\\u00e9-x"):
        paths = finder(text=home)
        assert redacted("andré, andr\\u00e9, andr", paths) == f"{TOKEN}, {TOKEN}, andr"
    assert redacted("in -Users-andr\\u00e9-x-y.") == f"in {TOKEN}."


def test_names_are_found_composed_and_decomposed() -> None:
    """A name with an accent is the same name in both of its Unicode forms, and percent-encoded."""
    assert redacted("zoë zoe\u0308 Zoë") == f"{TOKEN} {TOKEN} {TOKEN}"
    assert redacted("https://x.example.com/zo%C3%AB/y") == f"https://x.example.com/{TOKEN}"


def test_nobody_known_is_nobody_redacted() -> None:
    """Without anything learned, paths are found and words are left alone."""
    assert redacted("mira in /a/b", PathFinder(Known())) == f"mira in {TOKEN}"
