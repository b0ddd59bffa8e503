"""Does a run of characters with slashes in it look like a path? Pure questions about one token, without its context.

A token is at most judged once and in linear time, however long it is. In doubt it is a path: a leak is worse than a
word too few. What is no path is listed here: fractions, dates, `and/or`, sed commands, branches, domains, MIME types.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

TYPOGRAPHIC = (
    "\u00ab\u00bb\u2014\u2018\u2019\u201c\u201d\u2026\u2502\u3001\u3002\u300a\u300b\u300c\u300d\u300e\u300f"
    "\u3010\u3011\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f"
)
"""Quotes, dashes and full-width punctuation: they stand around paths, not within."""

# fmt: off
ROOTS = frozenset((
    "Applications", "Library", "System", "Users", "Volumes", "app", "bin", "boot", "builds", "data", "dev", "etc",
    "home", "lib", "lib64", "media", "mnt", "nix", "opt", "private", "proc", "root", "run", "sbin", "srv", "sys", "tmp",
    "usr", "var", "workspace", "workspaces",
))
"""First components that make a path of `/x` alone."""

_FOLDERS = frozenset((
    "app", "appdata", "apps", "assets", "backup", "backups", "bin", "build", "builds", "cmd", "components", "config",
    "controllers", "crates", "data", "desktop", "dev", "dist", "docs", "documents", "downloads", "files", "fonts",
    "handlers", "hooks", "images", "include", "internal", "lib", "libs", "migrations", "models", "modules",
    "node_modules", "packages", "pkg", "program files", "programdata", "projects", "public", "repos", "resources",
    "scripts", "services",
    "source", "src", "static", "styles", "temp", "test", "tests", "tmp", "tools", "ubuntu", "users", "vendor",
    "views", "windows", "work", "workspace",
))
"""Folders, lower case: their backslash is no escape (`C:\\temp`), and words with one among them are no list."""

_EXTENSIONS = frozenset((
    "bak", "bash", "bat", "bin", "c", "cc", "cfg", "cjs", "class", "cmd", "conf", "config", "cpp", "cs", "csproj",
    "css", "csv", "cts", "db", "dll", "doc", "docx", "env", "exe", "gif", "go", "gradle", "gz", "h", "hpp", "htm",
    "html", "ico", "ini", "ipynb", "jar", "java", "jpeg", "jpg", "js", "json", "jsonl", "jsx", "key", "kt", "less",
    "lock", "log", "lua", "md", "mdx", "mjs", "mp4", "mts", "pdf", "pem", "php", "pl", "png", "ps1", "py", "pyc", "pyi",
    "r", "rb", "rs", "rst", "sass", "scss", "sh", "sln", "snap", "so", "sql", "sqlite", "svelte", "svg", "swift", "tar",
    "tf", "toml", "ts", "tsv", "tsx", "txt", "vue", "wasm", "webp", "xls", "xlsx", "xml", "yaml", "yml", "zip",
))
"""What a file may end in where a backslash could as well be an escape."""

_BARE_FILES = frozenset((
    "CODEOWNERS", "Containerfile", "Dockerfile", "Gemfile", "Jenkinsfile", "Justfile", "LICENSE", "Makefile",
    "Pipfile", "Procfile", "README", "Rakefile", "Vagrantfile", "authorized_keys", "id_ed25519", "id_rsa",
    "known_hosts",
))
_PRODUCTS = frozenset((
    "ASP.NET", "Alpine.js", "Chart.js", "D3.js", "Deno.js", "Discord.js", "Ember.js", "Express.js", "Nest.js",
    "Next.js", "Node.js", "Nuxt.js", "React.js", "Socket.io", "Three.js", "Vue.js",
))
_PROSE = frozenset((
    "add", "after", "alpha", "and", "before", "beta", "big", "black", "blue", "bottom", "can", "close", "create",
    "delete", "down", "error", "fail", "failed", "false", "get", "green", "he", "her", "hers", "high", "him", "his",
    "info", "large", "left", "low", "max", "maybe", "medium", "middle", "min", "no", "none", "not", "null", "off", "on",
    "open", "or", "pass", "passed", "patch", "post", "put", "read", "red", "remove", "right", "she", "skip", "skipped",
    "small", "start", "stop", "their", "them", "they", "top", "true", "up", "update", "warn", "warning", "white",
    "who", "what", "when", "where", "why", "how", "write", "execute", "yellow", "yes",
))
_MIME_TYPES = frozenset(("application", "audio", "font", "image", "message", "model", "multipart", "text", "video"))
_REGEX_FLAGS = frozenset(("g", "gi", "gim", "gm", "gs", "gu", "i", "ig", "im", "iu", "mg"))
# fmt: on
_LONGEST_EXTENSION = 12
_NAMED = ROOTS | _BARE_FILES
_LONGEST_LISTED = 12
_MOST_LISTED = 3
_ESCAPED_LETTER = re.compile(r"(?<![:\\])\\{1,4}u[0-9A-Fa-f]{4}")
_DOMAIN = re.compile(
    r"(?:[\w.+-]++@)?(?:localhost|docs\.rs|(?:[a-z0-9-]++\.)+(?:ai|at|ch|cloud|co|com|de|dev|edu|eu|fr|gov|info|io"
    r"|jp|net|nl|org|tech|tv|uk|us|xyz))"
)
_LONGEST_DOMAIN = 253
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]|%[A-Za-z_]\w*+%|@$|~(?!\d)|\.+$")
_FOLDER_VARIABLE = re.compile(r"%\w++%|\$env:|~")
_ESCAPE_LETTERS = frozenset("0abdfnrstuvwxABDSWZ")
_REGEX_MARKS = frozenset("+?^$|(){}[]")


def looks_like_path(token: str) -> bool:
    """Say whether a token is a path: it holds a separator (`/`, a backslash, `%2F` or `%5C`) and no surroundings."""
    if "%" in token and ("%2" in token or "%5" in token or "%3" in token):
        token = unquote(token)
        if "://" in token:
            return token.startswith("file:")
    if "\\" in token:
        token = _ESCAPED_LETTER.sub("u", token.replace("\\/", "/"))
        slash, backslash = token.find("/"), token.find("\\")
        if backslash >= 0 and not 0 <= slash < backslash:
            return _is_windows(token)
        token = token.replace("\\", "")
    if token[:1] == "/":
        return _is_absolute(token)
    if token[1:3] == ":/" and token[0].isalpha():
        return _has_letters(token[3:])
    return _is_relative(token)


def looks_like_list(token: str) -> bool:
    """Say whether a token is a few short words with slashes between them, as in `Mon/Wed/Fri`, and no folder's name."""
    parts = token.replace("\\/", "/").split("/")
    return len(parts) == _MOST_LISTED and all(
        part.isalnum() and len(part) <= _LONGEST_LISTED and part.lower() not in _FOLDERS and part not in _NAMED
        for part in parts
    )


def _has_letters(text: str) -> bool:
    return any(map(str.isalpha, text))


def _is_absolute(token: str) -> bool:
    parts = [part for part in token.split("/") if part]
    if not parts:
        return False
    if token[:2] == "//":
        return _is_relative("/".join(parts))
    if len(parts) == 1:
        return parts[0] in ROOTS or _is_file_name(parts[0])
    if len(parts) == 2 and parts[1] in _REGEX_FLAGS and token[-1] != "/" and parts[0] not in ROOTS:  # noqa: PLR2004 - /pattern/flags
        return False
    return parts[0] in ROOTS or _has_letters(token)


def _is_relative(token: str) -> bool:
    parts = token.split("/")
    first, last = parts[0], parts[-1]
    if _VARIABLE.match(first):
        return any(map(str.isalnum, token[len(first) :]))
    named = [part for part in parts if part]
    if len(named) <= 1 or _is_no_path(token, first, named):
        return False
    if len(named) > 2 or not last:  # noqa: PLR2004 - two components are one slash, which has to prove itself
        return _has_letters(token)
    if "//" in token:
        return _known_extension(last)
    return first[:1] == "." or last in _BARE_FILES or (_is_file_name(last) and not first.isdigit())


def _is_no_path(token: str, first: str, named: list[str]) -> bool:
    """Say whether it is one of the things people write with slashes that are not paths."""
    if first in ("s", "y") and token.count("/") == 3 and len(token) - token.rfind("/") <= 4:  # noqa: PLR2004 - s/a/b/gi
        return True
    if "." in first and len(first) <= _LONGEST_DOMAIN and _DOMAIN.fullmatch(first):
        return True
    if all(part.lower() in _PROSE for part in named):
        return True
    if token.isupper() and "." not in token and "_" not in token:
        return True
    return first in _MIME_TYPES and named[1].startswith(("vnd.", "x-", "x."))


def _is_file_name(name: str) -> bool:
    """Say whether a name ends as files do: a dot, and a short word that is no number and no attribute."""
    base, dot, extension = name.rpartition(".")
    if not dot or not extension or name in _PRODUCTS or base in ("self", "this"):
        return False
    if not base or base == "*":
        return extension[0].isalpha()
    is_word = extension[0].isalpha() and extension.isalnum() and len(extension) <= _LONGEST_EXTENSION
    return is_word and (extension.islower() or extension.isupper())


def _known_extension(name: str) -> bool:
    base, _, extension = name.rpartition(".")
    return bool(base) and extension.lower() in _EXTENSIONS


def _is_windows(token: str) -> bool:
    if token.startswith("\\\\"):
        return _is_share(token)
    is_doubled = "\\\\" in token
    parts = token.replace("\\\\", "\\").replace("/", "\\").split("\\")
    named = [part for part in parts[1:] if part]
    if not any(map(str.isalnum, "".join(named))):
        return False
    may_be_escapes = all(map(_may_be_escape, named))
    sure = is_doubled or not may_be_escapes or _known_extension(named[-1])
    if token[1:2] == ":":
        return sure or not all(map(_is_line_break, named))
    if _VARIABLE.match(parts[0]):
        return sure or _FOLDER_VARIABLE.match(token) is not None
    return _REGEX_MARKS.isdisjoint(token) and _is_windows_relative(parts[0], named, sure=not may_be_escapes)


def _is_windows_relative(first: str, named: list[str], *, sure: bool) -> bool:
    last = named[-1]
    if not first:
        return len(named) > 1 and (named[0].lower() in _FOLDERS or _known_extension(last))
    if last[0] == ".":
        return last == ".env" or (len(named) > 1 and sure and not all(part[0] == "." for part in named))
    return _known_extension(last) or (sure and (len(named) > 1 or _is_file_name(last)))


def _may_be_escape(part: str) -> bool:
    return part[0] in _ESCAPE_LETTERS and part.lower() not in _FOLDERS


def _is_line_break(part: str) -> bool:
    r"""Say whether a component is rather the escape of `Plan B:\nDo this` than a folder of `B:\notes`."""
    return part[0] in "nrt" and not part[1:2].islower()


_SHARE = re.compile(
    r"\\\\(?:[?.]\\(?!\\)|[\w.$-]{2,255}\\(?!\\)[\w$])|\\\\\\\\(?:[?.]\\\\(?!\\)|[\w.$-]{2,255}\\\\(?!\\)[\w$])"
)


def _is_share(token: str) -> bool:
    return _SHARE.match(token) is not None
