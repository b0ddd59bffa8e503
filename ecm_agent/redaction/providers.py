"""Tokens that are known by their looks: the providers' prefixes and shapes, whatever stands around them.

The shapes come from detect-secrets where its patterns are safe on hostile text; its remaining detectors match names
(`assignments` does that), have no shape of their own, or look back and forth over a whole line.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = 16  # characters; no token that is known by its looks lacks a run of this many word characters
WORDS = bytes(0x77 if chr(byte) in "-_" or (byte < 0x80 and chr(byte).isalnum()) else 0x20 for byte in range(256))
NEEDLE = b"w" * LONG


class Shape(NamedTuple):
    """A pattern, and how to know cheaply that it is not in a text."""

    hint: str | re.Pattern[str]  # in one of the text's long runs of word characters
    pattern: re.Pattern[str]


OWN = {
    "AKIA": r"(?<![A-Z0-9])AKIA[0-9A-Z]{12,}+",
    "eyJ": r"eyJ(?<![A-Za-z0-9+/_-]eyJ)[A-Za-z0-9_-]{10,}+={0,2}+(?:\.[A-Za-z0-9_-]*+={0,2}+){0,4}+",
    "AIza": r"AIza(?<!\wAIza)[\w-]{30,}+",
    "GOCSPX-": r"GOCSPX-[\w-]{20,}+",
    "sk-": r"sk-(?<!\wsk-)(?=[A-Za-z_-]{0,40}+[0-9])[\w-]{20,}+",
    "github_pat_": r"github_pat_\w{20,}+",
    "gl": r"gl(?<!\wgl)(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas|ffct)-[\w-]{20,}+(?:\.[\w-]++){0,3}+",
    "glsa_": r"glsa_\w{20,}+",
    "glc_": r"glc_(?<!\wglc_)[\w+/-]{20,}+=*+",
    "gh": r"gh(?<!\wgh)[pousr]_[A-Za-z0-9]{16,}+",
    "xox": r"xox(?<!\wxox)[a-z](?:\.xox[a-z])?-[\w-]{10,}+",
    "xapp-": r"xapp-[\w-]{16,}+",
    "_live_": r"(?<![A-Za-z0-9])(?:sk|rk)_live_\w{10,}+",
    "_test_": r"(?<![A-Za-z0-9])(?:sk|rk)_test_\w{10,}+",
    "whsec_": r"whsec_[\w+/-]{16,}+=*+",
    "npm_": r"npm_(?<!\wnpm_)[A-Za-z0-9]{30,}+",
    "pypi-": r"pypi-AgE[\w-]{20,}+",
    "hf_": r"hf_(?<!\whf_)[A-Za-z0-9]{30,}+",
    "_v1_": r"(?<!\w)do[opr]_v1_[a-f0-9]{32,}+",
    "shp": r"shp(?<!\wshp)(?:at|ca|pa|ss)_[a-fA-F0-9]{24,}+",
    "lin_api_": r"lin_api_\w{20,}+",
    "dapi": r"dapi(?<!\wdapi)[a-f0-9]{32}(?:-\d++)?",
    "gsk_": r"gsk_(?<!\wgsk_)[A-Za-z0-9]{20,}+",
    "r8_": r"r8_(?<!\wr8_)[A-Za-z0-9]{30,}+",
    "xai-": r"xai-(?<!\wxai-)[A-Za-z0-9]{30,}+",
    "pplx-": r"pplx-(?<!\wpplx-)[A-Za-z0-9]{30,}+",
    "sbp_": r"sbp_(?<!\wsbp_)[a-f0-9]{30,}+",
    "nfp_": r"nfp_(?<!\wnfp_)[A-Za-z0-9]{30,}+",
    "PMAK-": r"PMAK-[A-Za-z0-9-]{30,}+",
    "NRAK-": r"NRAK-[A-Z0-9]{20,}+",
    "sntry": r"sntry[su]_[\w+/=-]{30,}+",
    "pscale_": r"pscale_(?:tkn|pw|oauth)_[\w.-]{30,}+",
    "AGE-SECRET-KEY-": r"AGE-SECRET-KEY-1[A-Z0-9]{20,}+",
    "ATATT3": r"ATATT3[\w-]{30,}+=*+[A-Z0-9]*+",
    "ATBB": r"ATBB(?<!\wATBB)[A-Za-z0-9]{24,}+",
    "ntn_": r"ntn_(?<!\wntn_)[A-Za-z0-9]{30,}+",
    "figd_": r"figd_[\w-]{30,}+",
    "tskey-": r"tskey-[a-z]++-[\w-]{16,}+",
    "EAA": r"EAA(?<!\wEAA)[A-Za-z0-9]{60,}+",
    "key-": r"key-(?<![\w-]key-)[a-f0-9]{32}(?!\w)",
    "HRKU-": r"HRKU-[\w-]{30,}+",
}
OWN_WITH_DOTS = {
    "ya29.": r"ya29\.[\w-]{16,}+",
    "hvs.": r"hvs\.(?<!\whvs\.)[\w-]{20,}+",
    "hvb.": r"hvb\.(?<!\whvb\.)[\w-]{20,}+",
    "SG.": r"SG\.(?<!\wSG\.)[\w-]{16,}+\.[\w-]{16,}+",
    "Q~": r"(?<![\w~.-])[\w~.-]{3}[0-9]Q~[\w~.-]{24,}+",
    ".atlasv1.": r"(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,}+",
    "discord": r"discord(?:app)?\.com/api/webhooks/(\d++/[\w-]++)",
    "hooks.slack.com/": r"hooks\.slack\.com/(?:services|workflows|triggers)/([\w/-]{16,}+)",
    "dp.": r"dp\.(?<!\wdp\.)(?:pt|st|ct|sa|scim|audit)\.[\w.-]{30,}+",
    "AAAA": r"(?:ssh-[a-z0-9]{3,10}|ecdsa-sha2-[a-z0-9]{3,12}|sk-[a-z0-9@.-]{10,50}) AAAA[A-Za-z0-9+/]{16,}+=*+"
    r"(?:[ ][\w.+-]++@[\w.-]++)?",
}
GITHUB = re.compile(r"gh[pousr]_")
GITLAB = re.compile(r"gl[a-z]{2,5}-")
CLOSER = {"gh": GITHUB, "gl": GITLAB, "EAA": re.compile(r"EAA[A-Za-z0-9]{60}")}
COMMANDS = {  # an option that holds a password, after a command that has it
    "curl": r"(?<![\w-])(?:-u|--user)[ =]?[\"']?(?!\d++:\d++\s)([\w.@+-]{1,80}:[^\s\"'$<{]{2,200}+)",
    "sshpass": r"sshpass -p ?[\"']?([^\s\"'$<]++)",
    "mysql": r"mysql(?:dump|admin|import|show)?(?: -?[\w.@=/:-]{1,40}+){0,8}? -p([^\s\"'$<]{3,}+)",
    "login": r"login(?: -?[\w.@=/:-]{1,40}+){0,6}? -p[ =]?[\"']?([^\s\"'$<-][^\s\"'$<]{2,200}+)",
    "redis-cli": r"redis-cli(?: -?[\w.@=/:-]{1,40}+){0,6}? -a ?[\"']?([^\s\"'$<]{3,200}+)",
    "-pass": r"-pass(?:in|out)? [\"']?pass:([^\s\"'$<]{1,200}+)",
    "IDENTIFIED": r"IDENTIFIED (?:WITH \w++ )?BY (?:PASSWORD )?[\"']([^\"'\n]{1,200}+)",
    "sig": r"[?&;](?:sig|X-Amz-Signature|Signature)=([\w%+/=-]{20,}+)",
    "Signature=": r"[?&;, ](?:X-Amz-Signature|Signature)=([\w%+/=-]{20,}+)",
}
TELEGRAM = re.compile(r"^:[\w-]{35}", re.MULTILINE)
DISCORD = re.compile(r"^.?[MNO][\w-]{23,25}\.", re.MULTILINE)
TWILIO = re.compile(r"(?:AC|SK)[a-z0-9]{32}")
MAILCHIMP = re.compile(r"[0-9a-z]{32}-us[0-9]")


def long_runs(text: str) -> str:
    """Give the long runs of word characters, each with its neighbours on both sides, on lines of their own."""
    words = text.encode("latin-1", "replace").translate(WORDS)
    found, start = [], words.find(NEEDLE)
    while start >= 0:
        end = words.find(b" ", start)
        end = end if end >= 0 else len(words)
        found.append(text[max(start - 1, 0) : end + 1])
        start = words.find(NEEDLE, end)
    return "\n".join(found)


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Give every token of a known shape, in no order; the same characters may come more than once."""
    if runs := long_runs(text):
        for hint, pattern in by_run():
            if hint in runs if isinstance(hint, str) else hint.search(runs):
                yield from (whole(text, *match.span()) for match in pattern.finditer(text))
    for literal, pattern in by_text():
        if literal in text:
            yield from (match.span(match.re.groups) for match in pattern.finditer(text))


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
def by_text() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((literal, re.compile(source, re.ASCII)) for literal, source in (OWN_WITH_DOTS | COMMANDS).items())


@cache
def by_run() -> tuple[Shape, ...]:
    own = [Shape(CLOSER.get(hint, hint), re.compile(source, re.ASCII)) for hint, source in OWN.items()]
    return (*own, *library())


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
        (MAILCHIMP, list(MailchimpDetector.denylist)),
        ("pypi-", list(PypiTokenDetector.denylist)),
        ("xox", list(SlackDetector.denylist)[:1]),
        ("sq0csp-", list(SquareOAuthDetector.denylist)),
        ("_live_", list(StripeDetector.denylist)),
        (TELEGRAM, list(TelegramBotTokenDetector.denylist)),
        (TWILIO, list(TwilioKeyDetector.denylist)),
    ]
    return (Shape(hint, pattern) for hint, patterns in hints for pattern in patterns)
