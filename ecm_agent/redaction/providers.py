"""Tokens that are known by their looks: the providers' prefixes and shapes, whatever stands around them.

The shapes come from detect-secrets where its patterns are safe on hostile text; its remaining detectors match names
(`assignments` does that), have no shape of their own, or look back and forth over a whole line.
"""

from __future__ import annotations

import re
from functools import cache
from string import ascii_letters, digits
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = 20  # characters; no token that is known by its looks lacks a run of this many word characters
WORDS = bytes(0x77 if chr(byte) in "-_" or chr(byte) in ascii_letters + digits else 0x20 for byte in range(256))
BEFORE = 12  # characters before a run that tell what it is, as in "SG."
NEEDLE = b"w" * LONG


class Shape(NamedTuple):
    """A pattern, and how to know cheaply that it is not in a text."""

    hint: str | re.Pattern[str]  # in one of the text's long runs of word characters
    pattern: re.Pattern[str]
    group: int = 0  # which one is the secret


STARTS = {  # how a token starts, and how it goes on
    "AKIA": r"[0-9A-Z]{12,}+",
    "eyJ": r"[A-Za-z0-9_-]{10,}+={0,2}+(?:\.[A-Za-z0-9_-]*+={0,2}+){0,4}+",
    "AIza": r"[\w-]{30,}+",
    "ya29.": r"[\w-]{16,}+",
    "GOCSPX-": r"[\w-]{20,}+",
    "sk-": r"(?=[A-Za-z_-]{0,40}+[0-9])[\w-]{20,}+",
    "github_pat_": r"\w{20,}+",
    "gh": r"[pousr]_[A-Za-z0-9]{16,}+",
    "gl": r"(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas|ffct)-[\w-]{20,}+(?:\.[\w-]++){0,3}+",
    "GR1348941": r"[\w-]{20,}+",
    "glsa_": r"\w{20,}+",
    "glc_": r"[\w+/-]{20,}+=*+",
    "xox": r"[a-z](?:\.xox[a-z])?-[\w-]{10,}+",
    "xapp-": r"[\w-]{16,}+",
    "sk_": r"(?:live|test)_\w{10,}+",
    "rk_": r"(?:live|test)_\w{10,}+",
    "whsec_": r"[\w+/-]{16,}+=*+",
    "npm_": r"[A-Za-z0-9]{30,}+",
    "pypi-": r"AgE[\w-]{20,}+",
    "hf_": r"[A-Za-z0-9]{30,}+",
    "do": r"[opr]_v1_[a-f0-9]{32,}+",
    "shp": r"(?:at|ca|pa|ss)_[a-fA-F0-9]{24,}+",
    "lin_api_": r"\w{20,}+",
    "dapi": r"[a-f0-9]{32}(?:-\d++)?",
    "gsk_": r"[A-Za-z0-9]{20,}+",
    "r8_": r"[A-Za-z0-9]{30,}+",
    "xai-": r"[A-Za-z0-9]{30,}+",
    "pplx-": r"[A-Za-z0-9]{30,}+",
    "sbp_": r"[a-f0-9]{30,}+",
    "nfp_": r"[A-Za-z0-9]{30,}+",
    "PMAK-": r"[A-Za-z0-9-]{30,}+",
    "NRAK-": r"[A-Z0-9]{20,}+",
    "sntry": r"[su]_[\w+/=-]{30,}+",
    "pscale_": r"(?:tkn|pw|oauth)_[\w.-]{30,}+",
    "AGE-SECRET-KEY-": r"1[A-Z0-9]{20,}+",
    "ATATT3": r"[\w-]{30,}+=*+[A-Z0-9]*+",
    "ATBB": r"[A-Za-z0-9]{24,}+",
    "ntn_": r"[A-Za-z0-9]{30,}+",
    "figd_": r"[\w-]{30,}+",
    "tskey-": r"[a-z]++-[\w-]{16,}+",
    "EAA": r"[A-Za-z0-9]{60,}+",
    "key-": r"[a-f0-9]{32}",
    "dckr_": r"[po]at_[\w-]{20,}+",
    "nvapi-": r"[\w-]{30,}+",
    "tvly-": r"[\w-]{20,}+",
    "pul-": r"[a-f0-9]{40}",
    "secret_": r"[A-Za-z0-9]{43}(?!\w)",
    "HRKU-": r"[\w-]{30,}+",
    "hvs.": r"[\w-]{20,}+",
    "hvb.": r"[\w-]{20,}+",
    "SG.": r"[\w-]{16,}+\.[\w-]{16,}+",
    "dp.": r"(?:pt|st|ct|sa|scim|audit)\.[\w.-]{30,}+",
}
HOLDS = {  # what a token holds, or what stands before it, and the whole; a group is the secret
    "Q~": r"(?<![\w~.-])[\w~.-]{3}[0-9]Q~[\w~.-]{24,}+",
    ".atlasv1.": r"(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,}+",
    "AAAA": r"(?:ssh-[a-z0-9]{3,10}|ecdsa-sha2-[a-z0-9]{3,12}|sk-[a-z0-9@.-]{10,50}) (AAAA[A-Za-z0-9+/]{16,}+=*+"
    r"(?: [\w.+-]++@[\w.-]++)?)",
    "sig=": r"(?<![\w.-])sig=([\w%+/=-]{20,}+)",
    "Signature=": r"[?&;, ](?:X-Amz-Signature|Signature)=([\w%+/=-]{20,}+)",
}
GITHUB = re.compile(r"gh[pousr]_")
GITLAB = re.compile(r"gl[a-z]{2,5}-")
PLACES = {  # by a literal that is rare, what else must be in the text, and what then to look for
    "://": {
        "discord": r"discord(?:app)?\.com/api/webhooks/(\d++/[\w-]++)",
        "hooks.slack.com/": r"hooks\.slack\.com/(?:services|workflows|triggers)/([\w/-]{16,}+)",
    },
    " -": {  # options that hold a password, of commands that have them
        "curl": r"(?<![\w-])(?:-u|--user)[ =]?[\"']?(?!\d++:\d++\s)([\w.@+-]{1,80}:[^\s\"'$<{]{2,200}+)",
        "sshpass": r"sshpass -p ?[\"']?([^\s\"'$<]++)",
        "mysql": r"mysql(?:dump|admin|import|show)?(?: -?[\w.@=/:-]{1,40}+){0,8}? -p([^\s\"'$<]{3,}+)",
        "login": r"login(?: -?[\w.@=/:-]{1,40}+){0,6}? -p[ =]?[\"']?([^\s\"'$<-][^\s\"'$<]{2,200}+)",
        "redis-cli": r"redis-cli(?: -?[\w.@=/:-]{1,40}+){0,6}? -a ?[\"']?([^\s\"'$<]{3,200}+)",
        "htpasswd": r"htpasswd -[a-zA-Z]{0,6}b[a-zA-Z]{0,6}(?: [\w.@~/:-]{1,80}+){1,2} [\"']?([^\s\"'$<>|&]{3,200}+)",
        "openssl": r"openssl(?: -?[\w.@=/:-]{1,40}+){0,10}? -[kK] [\"']?([^\s\"'$<]{3,200}+)",
        "zip": r"zip(?: -?[\w.@=/:-]{1,40}+){0,6}? -P ?[\"']?([^\s\"'$<]{3,200}+)",
        "7z": r"7za? [a-z](?: -?[\w.@=/:-]{1,40}+){0,6}? -p([^\s\"'$<]{3,200}+)",
        "--from-literal": r"--from-literal[= ][\"']?[\w.-]{1,80}=([^\s\"'$<]{1,200}+)",
        "-pass": r"-pass(?:in|out)? [\"']?pass:([^\s\"'$<]{1,200}+)",
    },
    "IDENTIFIED": {"BY": r"IDENTIFIED (?:WITH \w++ )?BY (?:PASSWORD )?[\"']([^\"'\n]{1,200}+)"},
}
HINTS = {"gh": GITHUB, "gl": GITLAB, "do": re.compile(r"do[opr]_v1_"), "shp": re.compile(r"shp[a-z]{2}_")}
TELEGRAM = re.compile(r":[\w-]{35}")
DISCORD = re.compile(r"[MNO][\w-]{23,25}\.")


def long_runs(text: str, plain: bytes) -> str:
    """Give the long runs of word characters, each with what stands right before it, on lines of their own."""
    words = plain.translate(WORDS)
    found, start = [], words.find(NEEDLE)
    while start >= 0:
        end = words.find(b" ", start)
        end = end if end >= 0 else len(words)
        found.append(text[max(start - BEFORE, 0) : end + 1])
        start = words.find(NEEDLE, end)
    return "\n".join(found)


def spans(text: str, plain: bytes) -> Iterator[tuple[int, int]]:
    """Give every token of a known shape, in no order; `plain` is the text at one byte per character."""
    if runs := long_runs(text, plain):
        for shape in shapes():
            if shape.hint in runs if isinstance(shape.hint, str) else shape.hint.search(runs):
                yield from tokens(text, shape)
    for literal, patterns in places().items():
        if literal in text:
            for other, pattern in patterns:
                if other in text:
                    yield from (match.span(1) for match in pattern.finditer(text))


def tokens(text: str, shape: Shape) -> Iterator[tuple[int, int]]:
    at = 0
    while match := shape.pattern.search(text, at):
        start, at = whole(text, *match.span(shape.group))
        yield start, at


def whole(text: str, start: int, end: int) -> tuple[int, int]:
    """Take the borders off that a pattern matched, and the rest of a token longer than the pattern in."""
    while text[start] in ' \t\r\n=:"':
        start += 1
    while text[end - 1] in ' \t\r\n"':
        end -= 1
    rest = REST.match(text, end)
    return start, rest.end() if rest else end


REST = re.compile(r"[A-Za-z0-9_-]*+")


@cache
def places() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    return {
        literal: [(other, re.compile(source, re.ASCII)) for other, source in patterns.items()]
        for literal, patterns in PLACES.items()
    }


@cache
def shapes() -> tuple[Shape, ...]:
    starts = [Shape(HINTS.get(start, start), start_of_word(start, rest)) for start, rest in STARTS.items()]
    held = [re.compile(source, re.ASCII) for source in HOLDS.values()]
    holds = [Shape(hint, pattern, pattern.groups) for hint, pattern in zip(HOLDS, held, strict=True)]
    return (*starts, *holds, *library())


def start_of_word(start: str, rest: str) -> re.Pattern[str]:
    r"""Compile a token that starts a word; the letter of an escape such as `\n` before it is none of the word."""
    start = re.escape(start)
    return re.compile(
        rf"{start}(?:(?<!\w{start})|(?<=\\[nrtbf]{start})|(?<=\\u00[0-9a-f]{{2}}{start})){rest}", re.ASCII
    )


def library() -> Iterator[Shape]:
    """Give the shapes that detect-secrets knows; its import takes 0.1 s, so it waits until a text is redacted."""
    from detect_secrets.plugins.artifactory import ArtifactoryDetector
    from detect_secrets.plugins.aws import AWSKeyDetector
    from detect_secrets.plugins.discord import DiscordBotTokenDetector
    from detect_secrets.plugins.github_token import GitHubTokenDetector
    from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
    from detect_secrets.plugins.mailchimp import MailchimpDetector
    from detect_secrets.plugins.pypi_token import PypiTokenDetector
    from detect_secrets.plugins.slack import SlackDetector
    from detect_secrets.plugins.square_oauth import SquareOAuthDetector
    from detect_secrets.plugins.stripe import StripeDetector
    from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
    from detect_secrets.plugins.twilio import TwilioKeyDetector

    hints: list[tuple[str | re.Pattern[str], list[re.Pattern[str]]]] = [
        ("AKC", list(ArtifactoryDetector.denylist)[:1]),
        *((prefix, list(AWSKeyDetector.denylist)[:1]) for prefix in ("A3T", "ABIA", "ACCA", "ASIA")),
        (DISCORD, list(DiscordBotTokenDetector.denylist)),
        (GITHUB, list(GitHubTokenDetector.denylist)),
        (GITLAB, list(GitLabTokenDetector.denylist)),
        ("GR1348941", list(GitLabTokenDetector.denylist)),
        ("-us", list(MailchimpDetector.denylist)),
        ("pypi-", list(PypiTokenDetector.denylist)),
        ("xox", list(SlackDetector.denylist)[:1]),
        ("sq0csp-", list(SquareOAuthDetector.denylist)),
        ("_live_", list(StripeDetector.denylist)),
        (TELEGRAM, list(TelegramBotTokenDetector.denylist)),
        *zip(("AC", "SK"), ([pattern] for pattern in TwilioKeyDetector.denylist), strict=True),
    ]
    return (Shape(hint, pattern) for hint, patterns in hints for pattern in patterns)
