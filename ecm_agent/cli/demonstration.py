"""demo: the main job, start to end, on made-up memory, told by running the very commands a user would type."""

import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ecm_agent.cli.screen import Screen, screen
from ecm_agent.errors import EcmError

if TYPE_CHECKING:
    from ecm_agent.store.sqlite import SqliteStore

_CHUNKS = 400


def demo() -> None:
    """Show the main job on a sample memory in a temporary directory: back up, prove, damage, restore, compare."""
    with screen(json=False) as out, TemporaryDirectory(prefix="ecm-agent-demo-") as home:
        _story(out, _Shell(out, Path(home)))


class _Shell:
    """Runs `ecm-agent` with a home directory and a password of its own, showing what it runs."""

    def __init__(self, out: Screen, home: Path) -> None:
        self.home = home
        self._out = out
        (home / "ecm-agent.yaml").touch()  # so that no configuration of this machine is found
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ECM_", "XDG_", "STATE_"))}
        package = str(Path(__file__).parents[2])
        search = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        password = secrets.token_urlsafe(16)
        self._environ = {**kept, "HOME": str(home), "PYTHONPATH": search, "ECM_EXPORT_PASSWORD": password}

    def run(self, *words: str, expect: int = 0) -> None:
        """Run a command from the home directory; raise `EcmError` when it ends with another exit code."""
        self._out.say("", f"$ ecm-agent {shlex.join(words)}")
        sys.stdout.flush()
        argv = [sys.executable, "-m", "ecm_agent", *words]
        ended = subprocess.run(argv, cwd=self.home, env=self._environ, stderr=subprocess.STDOUT, check=False)  # noqa: S603 (this program)
        if ended.returncode != expect:
            raise EcmError(f"The demo failed: that command ended with {ended.returncode}, not {expect}.")


def _story(out: Screen, shell: _Shell) -> None:
    from ecm_agent.jobs.compare import differences
    from ecm_agent.store.sqlite import SqliteStore

    memory, again = shell.home / ".ecm" / "memory.db", shell.home / "restored.db"
    out.say("An empty memory, filled with a made-up one of realistic shape:")
    shell.run("init")
    _fill(memory)
    out.say("", "One command backs it up. No configuration is needed; the password is in ECM_EXPORT_PASSWORD:")
    shell.run("backup")
    shell.run("list")
    shell.run("verify", "latest")
    out.say("", "Now one bit of a copy is flipped, as a bad disk would. It must not pass:")
    _damage(shell.home)
    shell.run("verify", "damaged.ecm", expect=13)
    out.say("", "And the good archive goes back into a new store:")
    shell.run("restore", "latest", "--store", again.name)
    if unequal := differences(SqliteStore(memory), SqliteStore(again)):
        raise EcmError(f"The demo failed: the restored store differs: {unequal}.")
    out.say("", *_moral(SqliteStore(again)))


def _fill(path: Path) -> None:
    from ecm_agent.model.manifest import VERSION, Manifest
    from ecm_agent.sample import Shape, batches
    from ecm_agent.store.sqlite import SqliteStore

    manifest = Manifest(version=VERSION, created="", chunk_count=0, edge_count=0, cluster_count=0)
    SqliteStore(path).replace(manifest, batches(Shape(chunks=_CHUNKS)))


def _damage(home: Path) -> None:
    archive = next((home / ".ecm" / "backups").glob("*.ecm"))
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    (home / "damaged.ecm").write_bytes(content)


def _moral(restored: "SqliteStore") -> tuple[str, ...]:
    return (
        "What this proved:",
        "  - the backup was stored, read back from where it is kept, decrypted, and every record in it counted;",
        "  - a single flipped bit is caught, before anything is restored;",
        f"  - the restored store equals the original, all {restored.chunk_count()} chunks and every other record,",
        "    compared column by column.",
        "Everything happened in a temporary directory, which is gone now. Your own memory was not touched.",
    )


COMMANDS: dict[str, Callable[..., None]] = {"demo": demo}
