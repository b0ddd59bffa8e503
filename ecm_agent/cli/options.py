"""Options that several commands share, declared once."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

Archive: TypeAlias = Annotated[
    str, typer.Argument(metavar="ARCHIVE", help="latest, the name of an archive, or the path of a file.")
]
# What cannot be read is said by who reads it, in its own words and with its own exit code: `readable=False`.
File: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FILE", help="The archive.", show_default=False, readable=False)
]
Config: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="The configuration file.", show_default=False, readable=False),
]
Store: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="PATH",
        help="The memory store.",
        show_default="~/.ecm/memory.db or ~/.causantic/memory.db, whichever there is",
        readable=False,
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", "-n", help="Change nothing; say what would be done.")]
Force: TypeAlias = Annotated[
    bool, typer.Option("--force", help="Replace a store even by an archive that holds less than all of one.")
]
NoSafetyArchive: TypeAlias = Annotated[
    bool, typer.Option("--no-safety-archive", help="Make no copy of the store before changing what it holds.")
]
Merge: TypeAlias = Annotated[
    bool, typer.Option("--merge", help="Join the archive with what the store holds, instead of replacing it.")
]
OnConflict: TypeAlias = Annotated[
    Literal["ours", "theirs", "fail"] | None,
    typer.Option(
        "--on-conflict",
        help="With --merge: whose record stays where nothing tells which is later (ours: the store's).",
        show_default="ours",
    ),
]
Recluster: TypeAlias = Annotated[
    bool, typer.Option("--recluster", help="With --merge: find the topics of the joined memory anew, afterwards.")
]
Into: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--into", metavar="PATH", help="Restore into a new store there, beside the original.", show_default=False
    ),
]
JobName: TypeAlias = Annotated[
    str | None, typer.Option("--job", "-j", metavar="NAME", help="Which job's.", show_default="the first")
]
From: TypeAlias = Annotated[
    str | None, typer.Option("--from", metavar="NAME", help="Which destination's.", show_default="all of the job's")
]
At: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="The newest archive made by then: 2025-03-01 (the end of that day), 2025-03-01T14:30, 12h or 3d ago.",
        show_default=False,
    ),
]
WaitLock: TypeAlias = Annotated[
    str,
    typer.Option("--wait-lock", metavar="TIME", help="Wait so long for another process on the same job (30s, 10m)."),
]
RedactPaths: TypeAlias = Annotated[
    bool,
    typer.Option("--redact-paths", help="Take out file paths, home directories, user names; projects get pseudonyms."),
]
RedactCode: TypeAlias = Annotated[bool, typer.Option("--redact-code", help="Take out code and the output of tools.")]
RedactSecrets: TypeAlias = Annotated[
    bool, typer.Option("--redact-secrets", help="Take out keys, tokens, passwords, e-mail addresses.")
]
WithVectors: TypeAlias = Annotated[
    bool, typer.Option("--with-vectors", help="Keep the vectors in a redacted archive: texts can be guessed from them.")
]
Format: TypeAlias = Annotated[
    Literal["ecm", "causantic-1.1"],
    typer.Option("--format", help="What to write: our own archive, or one that Causantic imports, which holds less."),
]
Preview: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--preview", metavar="N", min=1, help="Write nothing; show N texts before and after.", show_default=False
    ),
]
