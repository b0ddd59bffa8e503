"""The keys of the configuration that say where the memory is, and where passwords come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from ecm_agent.config.destinations import Section
from ecm_agent.config.values import CredentialName, VariableName, plain

if TYPE_CHECKING:
    from pydantic.config import JsonDict

PASSWORD_VARIABLE = "ECM_EXPORT_PASSWORD"  # noqa: S105 (a variable's name)
KEY_VARIABLES = ("ECM_DB_KEY", "CAUSANTIC_DB_KEY")
DEFAULT_STORE = Path("~/.ecm/memory.db")
USUAL_STORES = {"ecm": DEFAULT_STORE, "causantic": Path("~/.causantic/memory.db")}
"""Where the memory programs keep theirs, by generation."""


def _one_of(*keys: str) -> JsonDict:
    return {"oneOf": [{"required": [key]} for key in keys]}


class PasswordSettings(Section):
    """Where the password comes from; exactly one key. The password itself is never part of the settings."""

    model_config = ConfigDict(json_schema_extra=_one_of("env", "file", "command", "credential"))

    env: VariableName | None = Field(
        default=None,
        description="The environment variable that holds the password. Where it is not set, the variable of the same "
        "name with _FILE added may name a file that holds it.",
    )
    file: Path | None = Field(
        default=None,
        description="A file that holds the password; one newline at its end is not part of it. It must not be "
        "readable by everyone.",
    )
    command: Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None,
        repr=False,
        description="A program and its arguments (a list; no shell) that prints the password; one newline at the end "
        "is not part of it.",
    )
    credential: CredentialName | None = Field(
        default=None, description="The name of a systemd credential, a file in $CREDENTIALS_DIRECTORY."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            *keys, last = type(self).model_fields
            raise plain(f"must have exactly one of the keys {', '.join(keys)} and {last}")
        return self


class KeyringSettings(Section):
    """An entry of the desktop's keyring."""

    service: Annotated[str, Field(min_length=1)] = Field(
        description="The service of the entry: causantic, or entropic-causal-memory."
    )
    account: Annotated[str, Field(min_length=1)] = Field(
        description="The account of the entry: causantic-db-key, or ecm-db-key."
    )


class StoreKeySettings(PasswordSettings):
    """Where the key of an encrypted store comes from; exactly one key. It is never part of the settings itself."""

    model_config = ConfigDict(json_schema_extra=_one_of("env", "file", "command", "credential", "keyring"))

    env: VariableName | None = Field(
        default=None,
        description="The environment variable that holds the store's key. Where it is not set, the variable of the "
        "same name with _FILE added may name a file that holds it.",
    )
    file: Path | None = Field(
        default=None,
        description="A file that holds the store's key; one newline at its end is not part of it. It must not be "
        "readable by everyone.",
    )
    command: Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None,
        repr=False,
        description="A program and its arguments (a list; no shell) that prints the store's key; one newline at the "
        "end is not part of it.",
    )
    keyring: KeyringSettings | None = Field(
        default=None,
        description="An entry of the desktop's keyring: of the macOS keychain, or of what secret-tool can ask.",
    )


class StoreSettings(Section):
    """Where the memory is, and how it is encrypted."""

    path: Path = Field(
        default=DEFAULT_STORE,
        description="The SQLite file of the memory. Without it, ~/.ecm/memory.db or ~/.causantic/memory.db, whichever "
        "there is; where there are both, it must be given.",
    )
    key: StoreKeySettings | None = Field(
        default=None,
        description="Where the key of an encrypted store comes from: exactly one of env, file, command, credential and "
        "keyring. Without it: ECM_DB_KEY, CAUSANTIC_DB_KEY, then where the memory programs keep it in the keyring. "
        "With it, a store that is made is encrypted. Needs ecm-agent[encrypted-store].",
    )
    cipher: Literal["chacha20", "sqlcipher"] = Field(
        default="chacha20", description="The cipher of a store that is made; one that exists keeps its own."
    )
