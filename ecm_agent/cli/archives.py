"""One-shot commands on stores and archive files: init, export, import, inspect."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from ecm_agent.cli import options, passwords, render
from ecm_agent.cli.redacting import redactions, refuse_at_odds, show_preview
from ecm_agent.cli.screen import Screen, screen
from ecm_agent.cli.settings import settings_of, settings_of_new_store, settings_without_store
from ecm_agent.errors import PARTIAL, UsageError

if TYPE_CHECKING:
    from ecm_agent.archive import Compression
    from ecm_agent.config.settings import Settings
    from ecm_agent.model.manifest import ArchiveFormat, Selection


def init(
    store: options.Store = None,
    config: options.Config = None,
    *,
    schema: Annotated[
        Literal["ecm", "causantic"],
        typer.Option(help="Whose: ecm (ECM 0.1, schema version 2) or causantic (Causantic 0.10, schema version 16)."),
    ] = "ecm",
    json: options.Json = False,
) -> None:
    """Make an empty memory store."""
    from ecm_agent import wiring
    from ecm_agent.store.generations import GENERATIONS

    with screen(json=json) as out:
        generation = GENERATIONS[schema]
        new = wiring.store(settings_of_new_store(config, store, generation.name))
        new.create(generation)
        out.say(f"Made an empty memory store at {new.path} (schema version {generation.version}).")
        out.summary("init", {"store": str(new.path), "schema_version": generation.version})
        try:
            settings_of(config, store)
        except UsageError as error:  # from now on there are two
            out.warn(f"{error.message} {error.hint}")


def export(  # noqa: PLR0913 (one parameter for each option)
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where the archive goes.", show_default=False)
    ] = None,
    store: options.Store = None,
    config: options.Config = None,
    *,
    no_encrypt: Annotated[
        bool, typer.Option("--no-encrypt", help="Write plain JSON (for Causantic plain gzip).")
    ] = False,
    projects: Annotated[str | None, typer.Option(metavar="A,B", help="Only these projects.")] = None,
    no_vectors: Annotated[bool, typer.Option("--no-vectors", help="Leave the embedding vectors out.")] = False,
    redact_paths: options.RedactPaths = False,
    redact_code: options.RedactCode = False,
    redact_secrets: options.RedactSecrets = False,
    with_vectors: options.WithVectors = False,
    preview: options.Preview = None,
    compress: Annotated[Literal["none", "gzip", "zstd"], typer.Option(help="Compress inside the encryption.")] = "none",
    format_: options.Format = "ecm",
    json: options.Json = False,
) -> None:
    """Write the memory, or some projects of it, into one archive file; for sharing, without paths, code, secrets."""
    from ecm_agent.model.manifest import Selection

    redact = redactions(paths=redact_paths, code=redact_code, secrets=redact_secrets)
    with screen(json=json) as out:
        vectors = with_vectors if redact else not no_vectors
        selection = Selection(None if projects is None else tuple(projects.split(",")), vectors, redact)
        refuse_at_odds(selection, preview=preview, output=output, no_vectors=no_vectors, with_vectors=with_vectors)
        if format_ != "ecm" and compress != "none":
            raise UsageError(f"--compress does not go with --format {format_}: such an archive is always gzip.")
        settings = settings_of(config, store)
        if output is None:
            show_preview(out, settings, selection, preview or 0)
        else:
            _export(out, settings, selection, output, compress, format_, encrypt=not no_encrypt)


def _export(
    out: Screen,
    settings: "Settings",
    selection: "Selection",
    output: Path,
    compress: "Compression",
    archive_format: "ArchiveFormat",
    *,
    encrypt: bool,
) -> None:
    from ecm_agent import wiring
    from ecm_agent.clock import SystemClock
    from ecm_agent.jobs.export import export_to

    password = passwords.to_encrypt(settings) if encrypt else None
    with out.progress() as progress:
        exported = export_to(
            output,
            wiring.store(settings),
            selection,
            password=password,
            compression=compress,
            created=SystemClock().now(),
            progress=progress,
            archive_format=archive_format,
        )
    render.warn(out, exported)
    out.say(*render.exported(output, exported))
    out.summary("export", exported, output=str(output))
    if not exported.whole:
        raise SystemExit(PARTIAL)


def import_(  # noqa: PLR0913 (one parameter for each option)
    file: options.File,
    store: options.Store = None,
    config: options.Config = None,
    *,
    into: options.Into = None,
    merge: options.Merge = False,
    on_conflict: options.OnConflict = None,
    recluster: options.Recluster = False,
    dry_run: options.DryRun = False,
    force: options.Force = False,
    no_safety_archive: options.NoSafetyArchive = False,
    json: options.Json = False,
) -> None:
    """Replace what a store holds by an archive, or with --merge join the two; what was there is kept."""
    from ecm_agent.cli.restoring import Wishes, restore_from
    from ecm_agent.jobs.locate import opened_path

    wishes = Wishes(config, store, into, merge, on_conflict, force, dry_run, not no_safety_archive, recluster)
    with screen(json=json) as out:
        settings = wishes.settings()
        with opened_path(file) as archive:
            restore_from(archive, str(file), settings, out, wishes, command="import")


def inspect(
    file: options.File,
    config: options.Config = None,
    *,
    json: options.Json = False,
) -> None:
    """Say what is in an archive: what shows without the password, and with it the manifest."""
    from ecm_agent.jobs.locate import opened_path

    with screen(json=json) as out, opened_path(file) as archive:
        _inspect(out, file, archive, config)


def _inspect(out: Screen, file: Path, archive: BinaryIO, config: Path | None) -> None:
    from ecm_agent.archive import open_archive, sealed_as
    from ecm_agent.model.manifest import FORMAT

    settings = settings_without_store(config)
    sealed = sealed_as(archive)
    encrypted = sealed is not None
    size = archive.seek(0, 2)
    password = passwords.to_peek(settings) if encrypted else None
    manifest = None if encrypted and password is None else open_archive(archive, password).manifest
    format_ = manifest.format if manifest else sealed or FORMAT
    out.say(*render.inspected(file, size, format_, manifest, encrypted=encrypted))
    about = {"archive": str(file), "bytes": size, "encrypted": encrypted, "format": format_}
    out.summary("inspect", about, manifest=manifest)


COMMANDS: dict[str, Callable[..., None]] = {
    "init": init,
    "export": export,
    "import": import_,
    "inspect": inspect,
}
