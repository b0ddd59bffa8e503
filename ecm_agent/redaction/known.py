"""What is known of the people behind a memory: their names, home directories and projects, learned from its texts."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from ecm_agent.redaction.shapes import TYPOGRAPHIC

if TYPE_CHECKING:
    from collections.abc import Iterator

# fmt: off
_GENERIC = frozenset((
    "about", "account", "admin", "administrator", "all", "anonymous", "api", "app", "apps", "assets", "azureuser",
    "bin", "build", "builder", "cache", "circleci", "cloud", "code", "coder", "codespace", "config", "container",
    "current", "daemon", "dashboard", "data", "default", "demo", "deploy", "deployer", "desktop", "dev", "developer",
    "docker", "documents", "downloads", "ec2-user", "etc", "example", "export", "features", "file", "files", "foo",
    "git", "github", "gitlab", "gitpod", "group", "guest", "help", "home", "host", "http", "https", "images", "index",
    "it", "jenkins", "jovyan", "lib", "linux", "linuxbrew", "local", "localhost", "login", "main", "media", "mysql",
    "name", "new", "news", "nginx", "nobody", "node", "nonroot", "opt", "packages", "page", "pages", "path", "pi",
    "postgres", "private", "products", "profile", "project", "projects", "public", "python", "redacted", "repo",
    "root", "runner", "runneradmin", "sandbox", "search", "secret", "server", "service", "settings", "shared", "site",
    "someone", "somebody", "src", "static", "store", "sudo", "support", "system", "tasks", "temp", "test", "tester",
    "tests", "tmp", "ubuntu", "user", "username", "users", "vagrant", "var", "vscode", "web", "widgets", "work",
    "worker", "workspace", "www", "www-data", "you", "your", "me", "yourname", "your-name", "your_name", "yourusername",
))
"""Accounts and words that name nobody: taken for a user, they would blot out ordinary text."""

AMBIGUOUS = frozenset((
    "art", "bill", "chase", "drew", "frank", "grant", "guy", "hope", "jack", "mark", "may", "pat", "rich", "rob",
    "rose", "sky", "sue", "will",
))
"""Names that are words as well: they count where an account stands (`~will`, `will@host`, in a path), not in prose."""
# fmt: on

_SHORTEST_NAME = 3
_LONGEST_NAME = 64
_SEPARATOR = r"(?:[/\\]{1,4}|%2[Ff]|%5[Cc]|%255[Cc]|%252[Ff])"
_NAME = rf"(?:[^\s/\\\"'`<>|:;,()\[\]{{}}*?$&=#!^{TYPOGRAPHIC}]|\\u[0-9A-Fa-f]{{4}})"
_HOME = re.compile(
    rf"(?:/|\\|%2[Ff]|%5[Cc])(?:home|Users|users|USERS|Documents and Settings){_SEPARATOR}"
    rf"(?P<name>[\w.-]{{1,32}}(?: [\w.-]{{1,32}}){{1,2}}(?=\\)|(?:(?!%2[Ff]|%5[Cc]){_NAME}){{1,{_LONGEST_NAME + 1}}})"
)
_UNICODE = re.compile(r"\\u([0-9A-Fa-f]{4})")
_SLUG = re.compile(r"-(?:home|Users)-(?P<name>(?:[^\W_]|\\u[0-9A-Fa-f]{4}){1,64})")
_FILE_NAME = re.compile(r"\.(?:css|html?|jpg|js|json|log|md|php|png|py|sh|svg|ts|txt|xml|ya?ml)$")
_DRIVE = re.compile(r"(?:/mnt/|/)?([A-Za-z])(?:(?<=/mnt/.)(?=/)|(?<=^/.)(?=/)|:)(?=[/\\])")


class Known:
    """Names and paths that are redacted wherever they stand. Learn first, then build a `PathFinder` with it."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._paths: set[str] = set()

    @property
    def names(self) -> frozenset[str]:
        """User names, as written, of at least three characters; none that names nobody (`root`, `runner`)."""
        return frozenset(self._names)

    @property
    def paths(self) -> frozenset[str]:
        """Absolute paths (projects, and homes whose names hold a space), as written, without a trailing separator."""
        return frozenset(self._paths)

    def learn_name(self, name: str) -> None:
        """Remember a user's name, unless it is too short, too long or generic to name anybody."""
        name = name.strip().rstrip(".-_")
        is_name = any(map(str.isalpha, name)) and _SHORTEST_NAME <= len(name) <= _LONGEST_NAME
        if is_name and name.lower() not in _GENERIC and not _FILE_NAME.search(name):
            self._names.add(name)

    def learn_text(self, text: str) -> None:
        """Remember whose home directories a text mentions, in whatever writing. Linear time."""
        if "home" in text or "sers" in text or "SERS" in text or "Settings" in text:
            for found in _HOME.finditer(text):
                self._learn_home(found)
            for found in _SLUG.finditer(text):
                if not found.start() or not text[found.start() - 1].isalnum():
                    self.learn_name(_plain(found["name"]))

    def _learn_home(self, found: re.Match[str]) -> None:
        name = _plain(found["name"])
        self.learn_name(unquote(name) if "%" in name else name)
        if " " in name:
            # Either a name of two words, or a name and prose that a backslash happens to follow.
            self.learn_name(name.split(" ")[0])
        if " " in name and found.start() > 1 and found.string[found.start() - 1] == ":":
            self._paths.add(found.string[found.start() - 2 : found.end()].replace("\\\\", "\\"))

    def learn_path(self, path: str) -> None:
        """Remember a project's path or a home directory; a bare word is no path and is left alone."""
        self.learn_text(path + "\\" if "\\" in path else path + "/")
        trimmed = path.strip().rstrip("/\\")
        if len(trimmed) > _SHORTEST_NAME and trimmed.lstrip("/") and ("/" in trimmed or "\\" in trimmed):
            self._paths.add(trimmed)


def _plain(name: str) -> str:
    return _UNICODE.sub(lambda escape: chr(int(escape[1], 16)), name)


def casings(name: str) -> set[str]:
    """Give a name in the cases it is written in: as it is, lower, UPPER and Capital."""
    return {name, name.lower(), name.upper(), name[:1].upper() + name[1:], name.capitalize()}


def writings(path: str) -> set[str]:
    """Give a path in all its writings: with either slash, escaped, percent-encoded, as other systems see its drive."""
    return {writing for form in _forms(path) for writing in (form, *_escaped(form))}


def slugs(path: str) -> set[str]:
    """Give the names of a path's folder in an assistant's own directory: most signs are dashes."""
    return {re.sub(r"[^a-zA-Z0-9]", "-", path), re.sub(r"[/\\:]", "-", path), re.sub(r"[/\\:. _]", "-", path)}


def _forms(path: str) -> Iterator[str]:
    drive = _DRIVE.match(path)
    if not drive:
        yield path
        if path.startswith("\\\\"):
            yield path.replace("\\", "/")
        return
    letter, rest = drive[1], path[drive.end() :].replace("\\", "/").replace("//", "/")
    for case in (letter.lower(), letter.upper()):
        yield f"{case}:{rest}"
        yield f"{case}:{rest}".replace("/", "\\")
    yield f"/{letter.lower()}{rest}"
    yield f"/mnt/{letter.lower()}{rest}"


def _escaped(form: str) -> Iterator[str]:
    yield form.replace("\\", "\\\\")
    yield form.replace("/", "\\/")
    yield form.replace(" ", "\\ ") if "/" in form else form
    yield quote(form, safe="")
    yield quote(form, safe="/:")
    yield form.replace(" ", "%20")
    yield json.dumps(form)[1:-1]
