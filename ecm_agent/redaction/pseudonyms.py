"""Names that stand for names: the same one for the same name, and no way back."""

from __future__ import annotations

import hashlib
import hmac
import re

_DIGITS = 10
_DRAWN = re.compile(rf"-[0-9a-f]{{{_DIGITS}}}")


class Pseudonyms:
    """Draws pseudonyms by a key. Who does not have the key can neither undo one nor check a guess."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, name: str, kind: str) -> str:
        """Give the pseudonym of a name, such as `project-1f0c9a63be`.

        The empty name is its own, and so is what is a pseudonym already: they say nothing.
        """
        if not name or (name.startswith(kind) and _DRAWN.fullmatch(name, len(kind))):
            return name
        message = f"{kind}\0{name}".encode(errors="surrogatepass")
        return f"{kind}-{hmac.new(self._key, message, hashlib.sha256).hexdigest()[:_DIGITS]}"
