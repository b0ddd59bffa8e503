"""What stands after a suspicious name: a secret, or a type, a reference, a placeholder, a word of prose."""

from __future__ import annotations

import re
from collections import Counter
from math import log2

from ecm_agent.redaction.tokens import MARK

SHORTEST = 3  # characters of a secret after a name that leaves no doubt
SHORTEST_DOUBTFUL = 8  # and after one that does, such as "token"
LONGEST_PLACEHOLDER = 40
FEWEST_DIGITS = 3  # in a random value
BITS = 3.3  # of entropy in each character of a random value
SCRAMBLED = 20  # letters from which large ones among small ones are taken for random
FEWEST_LARGE = 0.28  # of them
RANDOM = 16  # characters from which a mix of letters and digits is taken for a random one

REFERENCE = re.compile(
    r"\$\{[^}]*+\}|\$\([^)]*+\)|\$\w++(?:[.:]\w++)*+|%\w++%|\{\{[^}]*+\}\}|\{[^{}\n]*+\}|<[^>]*+>|@\w++@"
    r"|\[[\w .-]*+\]|%[sdr]|%\(\w++\)s|\$\{\{[^}]*+\}\}"
)
MASK = re.compile(r"(?:[xX]++|\*++|\.{2,}+|…++|#++|•++|-++|_++|\?++|[xX*.…•-]{3,}+)")
ROOTS = (
    r"self|this|cls|os|sys|process|config|configs|settings|env|environ|args|opts|options|request|req|res|response|ctx"
    r"|context|app|params|props|import\.meta|data|body|event|user|secrets|vault|var|local|module|each|kwargs|state"
    r"|input|form|session|client|auth|creds|credentials|core|e|m|match|result|payload|row|obj|item|github|steps|inputs"
)
DOTTED = re.compile(rf"(?:await |not |new |!|\*\*?|&)?(?:{ROOTS})(?:\??\.\w++|\[[^\]]*+\])++[\w.()\[\]'\"]*+")
CALL = re.compile(r"(?:await |new |not |!)?[A-Za-z_][\w.:]*+(?:\(|\[['\"\w]|<\w|::)")
WORDS = frozenset(
    """
    str string bytes int integer bool boolean float number text any none null nil true false undefined void object
    array list dict map optional required type secret secretstr password token key value char varchar uuid jwt
    bearer basic digest oauth oauth2 is are was be not the a an to for of and or in on with if from by as it
    this that your my our their empty default invalid missing wrong incorrect expired unknown changed reset yes no
    hidden redacted removed masked omitted example todo tbd unset set self cls enabled disabled on off
    const let var return await async function new import export class def public private static protected readonly
    field input label name id placeholder password_hash username user email host port
    """.split()  # noqa: SIM905 - a list of words, one item a line, would be a page
)
GENERATED = re.compile(r"[0-9a-fA-F]{7,64}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|sha\d+[:-].*")
IDENTIFIER = re.compile(r"[A-Za-z_][\w.-]*+")
PATH = re.compile(r"(?:~|\.{1,2}|[A-Za-z]:)?[/\\][\w./\\@~-]*+|https?://.*+")
NUMBERED = re.compile(
    r"[A-Za-z]++(?:[ _./:-][A-Za-z]++)*+[ _./:-]?v?[\d.]{1,6}+|[\dTZ:.+-]++|v?\d++\..*+"
    r"|(?:https?|file|data):.*+|\d++[a-zA-Z]{1,3}"
)
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*+(?:_[A-Z0-9]++)++")  # a name, not what it stands for
TYPE = re.compile(
    r"(?:Optional|Union|List|list|Annotated|Literal|Sequence|SecretStr|Secret|Mapping|dict)\[.*|\w+ ?\|.*"
)


def is_reference(value: str) -> bool:
    """Tell whether `value` only names where a secret is, stands for one, or is a token of ours."""
    return bool(
        not value
        or MARK in value
        or REFERENCE.fullmatch(value)
        or MASK.fullmatch(value)
        or is_placeholder(value.lower())
    )


def is_placeholder(value: str) -> bool:
    return len(value) <= LONGEST_PLACEHOLDER and value.startswith(("your-", "your_", "<"))


def is_mixed(value: str) -> bool:
    """Tell whether letters and digits mix as they do in what nobody says aloud."""
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def is_code(value: str) -> bool:
    """Tell whether an unquoted `value` is an expression of a program rather than the thing itself."""
    is_path = PATH.fullmatch(value) and not is_random(value)  # a key may begin with a slash, too
    return bool(is_path or DOTTED.fullmatch(value) or CALL.match(value) or TYPE.match(value))


def is_random(value: str) -> bool:
    """Tell whether `value` looks as a generator made it: long, mixed, and no character much more frequent."""
    digits = sum(map(str.isdigit, value))
    if len(value) < RANDOM or not ((digits >= FEWEST_DIGITS and is_mixed(value)) or is_scrambled(value)):
        return False
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * log2(share) for share in shares) >= BITS


def is_scrambled(value: str) -> bool:
    """Tell whether letters alone are large and small as no name is, not even one of many words."""
    large = sum(map(str.isupper, value)) / len(value)
    return len(value) >= SCRAMBLED and value.isalpha() and FEWEST_LARGE <= large <= 1 - FEWEST_LARGE


def is_token(value: str) -> bool:
    """Tell whether `value`, after a name such as "token", is one: mixed, and neither numbered nor dated."""
    return len(value) >= SHORTEST_DOUBTFUL and is_mixed(value) and not NUMBERED.fullmatch(value)
