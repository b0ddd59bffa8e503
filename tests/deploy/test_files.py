"""The other files in deploy/: that they parse, agree with each other and with the program, and hold no secret.

No Docker, Kubernetes or launchd is asked here; docs/deploy.md says so.
"""

from __future__ import annotations

import json
import os
import plistlib
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ecm_agent.config.loading import load
from ecm_agent.config.password import find_password
from ecm_agent.config.store import PASSWORD_VARIABLE, PasswordSettings
from ecm_agent.errors import PasswordMissing, UsageError

if TYPE_CHECKING:
    from ecm_agent.config.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
DOCKERFILE = (DEPLOY / "docker/Dockerfile").read_text()
CONFIG_MAP, CRON_JOB = yaml.safe_load_all((DEPLOY / "kubernetes/cronjob.yaml").read_text())
POD = CRON_JOB["spec"]["jobTemplate"]["spec"]["template"]["spec"]
COMPOSE = yaml.safe_load((DEPLOY / "docker/compose.yaml").read_text())
SERVICE = COMPOSE["services"]["ecm-agent"]
WORKFLOW = yaml.safe_load((DEPLOY / "ci/github-actions.yaml").read_text())
PAGE = (ROOT / "docs/deploy.md").read_text()
CONFIGURATIONS = {
    "docker": (DEPLOY / "docker/config.yaml").read_text(),
    "kubernetes": CONFIG_MAP["data"]["config.yaml"],
    **{f"page-{n}": text for n, text in enumerate(re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))},
}


def instructions(dockerfile: str = DOCKERFILE) -> list[tuple[str, str]]:
    """Give the Dockerfile's instructions as (name, rest), with continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ")
    pairs = (line.split(maxsplit=1) for line in text.splitlines() if line.strip())
    return [(name, " ".join(rest.split())) for name, rest in pairs]


def of(name: str) -> list[str]:
    return [rest for each, rest in instructions() if each == name]


def loaded(text: str, folder: Path, **environ: str) -> Settings:
    file = folder / "config.yaml"
    file.write_text(text)
    return load(file, environ={"HOME": str(folder), **environ}, cwd=folder).settings


def inlined(text: str) -> list[str]:
    """Give the values of password variables that are neither references nor paths of files."""
    given = re.findall(rf'{PASSWORD_VARIABLE}(?:_FILE)?"?\s*(?:=|:(?!\?)|, value:)\s*(\S+)', text)
    return [value for value in given if not value.startswith(("/run/secrets/", "%d/", "${{"))]


def run_shell(script: str, home: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{home}/.local/bin:{os.environ['PATH']}", "HOME": str(home), **environ}
    return subprocess.run(["/bin/sh", "-c", script], check=False, capture_output=True, text=True, env=environment)


def install(home: Path, script: str) -> None:
    """Put a script where docs/deploy.md puts the program."""
    program = home / ".local/bin/ecm-agent"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize("which", CONFIGURATIONS)
def test_every_configuration_is_sound(which: str, tmp_path: Path) -> None:
    """The program takes each configuration of deploy/ and of docs/deploy.md as it stands."""
    assert "nightly" in loaded(CONFIGURATIONS[which], tmp_path).jobs


def test_the_page_has_its_configurations() -> None:
    """Both configurations on the page are found, so that the check above sees them."""
    assert {"page-0", "page-1"} <= set(CONFIGURATIONS)


@pytest.mark.parametrize("which", ["docker", "kubernetes"])
def test_a_container_keeps_its_name_and_its_places(which: str) -> None:
    """Store, archives and archive names do not depend on a container that is new each time."""
    written = yaml.safe_load(CONFIGURATIONS[which])
    assert written["host"] == {"docker": "container", "kubernetes": "cluster"}[which]
    assert written["store"] == {"path": "/memory/memory.db"}
    assert written["destinations"] == {"backups": {"type": "local", "path": "/backups"}}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_password_stands_in_a_file(path: Path) -> None:
    """Wherever a password variable is given a value, the value is a reference or the path of a file."""
    assert inlined(path.read_text()) == []


@pytest.mark.parametrize(
    "text", ["export {}=secret", "{}: secret", "- {{name: {}, value: secret }}", "Environment={}=secret"]
)
def test_a_password_in_a_file_is_noticed(text: str) -> None:
    """The check above can fail, in each of the languages of these files."""
    assert inlined(text.format(PASSWORD_VARIABLE)) == ["secret"]


def test_the_image_is_built_from_named_and_hashed_things() -> None:
    """Each base has a version in its tag, packages come with hashes, and nothing is fetched by other ways."""
    assert {base.split()[0] for base in of("FROM")} == {"python:3.11-slim-bookworm"}
    assert any("--require-hashes --requirement /build/runtime.lock" in command for command in of("RUN"))
    assert not re.search(r"^ADD|^ARG|curl|wget|apt-get|https?:", DOCKERFILE, re.MULTILINE)


def test_the_image_does_not_run_as_root() -> None:
    """The last USER is a number, so that Kubernetes can see that it is not root; the CronJob names the same."""
    uid, _, gid = of("USER")[-1].partition(":")
    assert int(uid) == int(gid) > 0
    assert (POD["securityContext"]["runAsUser"], POD["securityContext"]["runAsGroup"]) == (int(uid), int(gid))
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert SERVICE["user"].startswith("${ECM_UID:?")


def test_the_image_is_watched_and_stopped_as_a_program() -> None:
    """Entry point, command and health check are lists, so that no shell stands between Docker and the agent."""
    assert (json.loads(of("ENTRYPOINT")[0]), json.loads(of("CMD")[0])) == (["ecm-agent"], ["run"])
    assert json.loads(of("HEALTHCHECK")[0].partition(" CMD ")[2]) == ["ecm-agent", "status"]
    assert of("STOPSIGNAL") == ["SIGTERM"]


def test_the_image_is_made_of_instructions_docker_knows() -> None:
    """Every line is an instruction, and the first is FROM."""
    known = {
        "FROM",
        "COPY",
        "RUN",
        "ENV",
        "WORKDIR",
        "USER",
        "VOLUME",
        "HEALTHCHECK",
        "STOPSIGNAL",
        "ENTRYPOINT",
        "CMD",
    }
    assert [name for name, _ in instructions() if name not in known] == []
    assert instructions()[0][0] == "FROM"


def test_what_the_image_copies_exists_and_reaches_the_builder() -> None:
    """Each source of a COPY is in the project, and Dockerfile.dockerignore lets it through and little else."""
    words = [[word for word in rest.split() if not word.startswith("--chmod")] for rest in of("COPY")]
    sources = [copied[0] for copied in words if not copied[0].startswith("--from")]
    ignore = (DEPLOY / "docker/Dockerfile.dockerignore").read_text().splitlines()
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert sorted(line[1:] for line in ignore if line.startswith("!")) == sorted(sources)
    assert "*" in ignore


def test_compose_hands_the_password_over_as_a_private_file() -> None:
    """The variable names the mounted secret; the secret is the user's own file, private wherever modes are set here."""
    (secret,) = SERVICE["secrets"]
    assert SERVICE["environment"] == {f"{PASSWORD_VARIABLE}_FILE": f"/run/secrets/{secret['source']}"}
    assert COMPOSE["secrets"] == {secret["source"]: {"file": "${HOME}/.config/ecm-agent/password"}}
    assert (secret["mode"], secret["uid"], secret["gid"]) == (0o400, "${ECM_UID}", "${ECM_GID}")


def test_compose_mounts_what_the_image_expects_and_nothing_is_made_by_root() -> None:
    """Each volume of the image is a directory of the user's that has to exist; all else is read-only."""
    assert sorted(volume["target"] for volume in SERVICE["volumes"]) == sorted(json.loads(of("VOLUME")[0]))
    assert [volume["bind"] for volume in SERVICE["volumes"]] == [{"create_host_path": False}] * 3
    assert (SERVICE["read_only"], SERVICE["cap_drop"]) == (True, ["ALL"])
    assert (SERVICE["build"]["context"], SERVICE["build"]["dockerfile"]) == ("../..", "deploy/docker/Dockerfile")


def test_the_cronjob_never_overlaps_and_never_gives_up() -> None:
    """One run at a time, every hour; missed hours do not stop it for good."""
    spec = CRON_JOB["spec"]
    assert (spec["concurrencyPolicy"], spec["schedule"]) == ("Forbid", "17 * * * *")
    assert 10 < spec["startingDeadlineSeconds"] < 3600


def test_the_cronjob_hands_the_password_over_as_a_private_file() -> None:
    """The variable names a file in the secret's volume, whose files only root and the agent's group can read."""
    (container,) = POD["containers"]
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert volumes.keys() == mounts.keys()
    assert volumes["password"]["secret"]["defaultMode"] == 0o400
    assert container["env"] == [{"name": f"{PASSWORD_VARIABLE}_FILE", "value": f"{mounts['password']}/password"}]
    assert POD["securityContext"]["fsGroup"] == POD["securityContext"]["runAsGroup"]
    assert volumes["config"]["configMap"]["name"] == CONFIG_MAP["metadata"]["name"]
    assert set(json.loads(of("VOLUME")[0])) <= set(mounts.values())


def test_the_cronjob_is_as_small_as_it_can_be() -> None:
    """No privileges, a read-only file system, no token of the cluster."""
    (container,) = POD["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["automountServiceAccountToken"] is False


@pytest.mark.parametrize(("mode", "refused"), [(0o444, True), (0o644, True), (0o440, False), (0o400, False)])
def test_the_modes_of_the_secrets_are_the_ones_the_agent_takes(mode: int, refused: bool, tmp_path: Path) -> None:
    """The defaults of Swarm (0444) and Kubernetes (0644) are refused; 0400, and 0440 as fsGroup makes it, are taken."""
    file = tmp_path / "password"
    file.write_text("secret words\n")
    file.chmod(mode)
    source = PasswordSettings(env=PASSWORD_VARIABLE)
    if refused:
        with pytest.raises(PasswordMissing, match="everyone can read it"):
            find_password(source, environ={f"{PASSWORD_VARIABLE}_FILE": str(file)})
    else:
        assert find_password(source, environ={f"{PASSWORD_VARIABLE}_FILE": str(file)})


def test_service_links_would_be_refused_and_are_off(tmp_path: Path) -> None:
    """What Kubernetes puts into the environment for a Service called ecm-agent is an error to the agent."""
    with pytest.raises(UsageError, match="ECM_AGENT_SERVICE_HOST"):
        load(None, environ={"HOME": str(tmp_path), "ECM_AGENT_SERVICE_HOST": "10.0.0.1"}, cwd=tmp_path)
    assert POD["enableServiceLinks"] is False


def test_launchd_restarts_what_failed_and_gives_it_time_to_stop() -> None:
    """The plist parses, starts at login, again after a failure, and waits five minutes for the run in hand."""
    job = plistlib.loads((DEPLOY / "launchd/ecm-agent.plist").read_bytes())
    assert (job["Label"], job["RunAtLoad"], job["KeepAlive"]) == ("ecm-agent", True, {"SuccessfulExit": False})
    assert (job["ExitTimeOut"], job["Umask"]) == (300, 0o077)


def test_launchd_writes_the_log_the_page_names(tmp_path: Path) -> None:
    """The plist's command, in a shell, runs the agent of the home directory and appends to its log."""
    install(tmp_path, 'echo "$@"; echo oops >&2')
    (tmp_path / "Library/Logs").mkdir(parents=True)
    shell, option, script = plistlib.loads((DEPLOY / "launchd/ecm-agent.plist").read_bytes())["ProgramArguments"]
    assert (shell, option) == ("/bin/sh", "-c")
    assert run_shell(script, tmp_path).returncode == 0
    assert (tmp_path / "Library/Logs/ecm-agent.log").read_text() == "run\noops\n"


@pytest.mark.parametrize(
    ("code", "mailed"), [(0, ["", ""]), (75, ["", "said status\n"]), (3, ["said run --once\n", "said status\n"])]
)
def test_cron_mails_failures_and_nothing_else(code: int, mailed: list[str], tmp_path: Path) -> None:
    """Each crontab line prints what the agent said when it failed; a run that was fine or skipped prints nothing."""
    install(tmp_path, f'echo "said $*" >&2; exit {code}')
    lines = [line for line in (DEPLOY / "cron/ecm-agent.crontab").read_text().splitlines() if line[:1].isdigit()]
    # Cron takes five fields of time off, and a backslash before a percent sign.
    scripts = [line.split(maxsplit=5)[5].replace(r"\%", "%") for line in lines]
    assert [run_shell(script, tmp_path).stdout for script in scripts] == mailed


def test_cron_lines_have_no_bare_percent_sign() -> None:
    """To cron, a % without a backslash ends the command."""
    lines = (DEPLOY / "cron/ecm-agent.crontab").read_text().splitlines()
    assert [line for line in lines if line[:1].isdigit() and re.search(r"(?<!\\)%", line)] == []


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """Give the home of a CI runner: the program is on the PATH, and there is an empty memory."""
    install(tmp_path, f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m ecm_agent "$@"')
    assert run_shell("ecm-agent init", tmp_path).returncode == 0
    return tmp_path


def test_the_ci_script_makes_one_encrypted_archive_and_proves_it(runner: Path) -> None:
    """With a password in the environment, backup.sh leaves an archive that the agent has read back."""
    script = f"cd && {DEPLOY}/ci/backup.sh"
    done = run_shell(script, runner, ECM_EXPORT_PASSWORD="secret words")
    assert done.returncode == 0, done.stderr
    assert (runner / "memory.ecm").read_bytes()[:1] != b"{"
    assert "memory.ecm" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("environ", [{}, {"ECM_EXPORT_PASSWORD": ""}], ids=["unset", "empty"])
def test_the_ci_script_makes_nothing_without_a_password(environ: dict[str, str], runner: Path) -> None:
    """A job that was not handed the secret fails, says so, and leaves no archive."""
    done = run_shell(f"cd && {DEPLOY}/ci/backup.sh", runner, **environ)
    assert done.returncode != 0
    assert "did not hand the secret" in done.stderr
    assert not (runner / "memory.ecm").exists()


def test_the_workflow_keeps_the_archive_it_made() -> None:
    """The script that runs exists, the archive it makes is the one that is kept, the password is a secret of the CI."""
    steps: list[dict[str, Any]] = WORKFLOW["jobs"]["backup"]["steps"]
    (export,) = [step for step in steps if "backup.sh" in step.get("run", "")]
    (keep,) = [step for step in steps if step.get("uses", "").startswith("actions/upload-artifact@")]
    assert os.access(ROOT / export["run"].split()[-1], os.X_OK)
    assert keep["with"]["path"] == export["env"]["ECM_ARCHIVE"]
    assert export["env"]["ECM_EXPORT_PASSWORD"] == "${{ secrets.ECM_EXPORT_PASSWORD }}"
    assert WORKFLOW["permissions"] == {"contents": "read"}


def test_the_page_names_every_file() -> None:
    """A file in deploy/ that docs/deploy.md does not lead to is one that nobody finds."""
    folders = {path.relative_to(ROOT).parts[1] for path in FILES}
    assert [folder for folder in sorted(folders) if f"deploy/{folder}/" not in PAGE] == []
