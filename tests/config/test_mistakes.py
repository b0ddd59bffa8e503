"""Mistakes in the configuration: each is reported with its key, its place, plain words and the nearest known key."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

from ecm_agent.config.loading import load
from ecm_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SECRET = "correct-horse"


def mistakes(
    tmp_path: Path, text: str, environ: Mapping[str, str] = {}, overrides: Mapping[str, object] = {}
) -> list[str]:
    """Load a configuration that has mistakes, and give the lines of the message, the file's path as FILE."""
    file = tmp_path / "conf.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load(file, environ={"HOME": "/home/me", **environ}, cwd=tmp_path, overrides=overrides)
    assert caught.value.exit_code == 2
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    message = caught.value.message.replace(str(file), "FILE")
    assert not any(word in message.lower() for word in ("pydantic", "https://", "input", "validat", "extra"))
    return [line.strip() for line in message.splitlines()]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("stroe: {}", "stroe (FILE:1): unknown key; did you mean store?"),
        ("Store: {}", "Store (FILE:1): unknown key; did you mean store?"),
        ("store_path: /x", "store_path (FILE:1): unknown key; did you mean store.path?"),
        ("_case_sensitive: true", "_case_sensitive (FILE:1): unknown key"),
        ("store:\n  paht: x", "store.paht (FILE:2): unknown key; did you mean path?"),
        ("password: {comand: [x]}", "password.comand (FILE:1): unknown key; did you mean command?"),
        (
            "destinations: {nas: {type: local, path: /x, paths: /y}}",
            "destinations.nas.paths (FILE:1): unknown key; did you mean path?",
        ),
        ("jobs: {nightly: {compres: gzip}}", "jobs.nightly.compres (FILE:1): unknown key; did you mean compress?"),
        (
            "jobs:\n  nightly:\n    retention:\n      keep_last: 1\n      keep_dayly: 7",
            "jobs.nightly.retention.keep_dayly (FILE:5): unknown key; did you mean keep_daily?",
        ),
        (
            "jobs: {nightly: {keep_daily: 7}}",
            "jobs.nightly.keep_daily (FILE:1): unknown key; did you mean jobs.nightly.retention.keep_daily?",
        ),
        ("keep_daily: 7", "keep_daily (FILE:1): unknown key; did you mean jobs.default.retention.keep_daily?"),
        ("jobs: {nightly: {zzz: 7}}", "jobs.nightly.zzz (FILE:1): unknown key"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path: Path, text: str, line: str) -> None:
    """At any depth; a key in the wrong section is shown its right place."""
    assert line in mistakes(tmp_path, text)


@pytest.mark.parametrize(
    ("table", "said"), [("chunks", "chunks"), ("schema_version", "schema_version"), ("vectors", "vectors")]
)
def test_the_memory_itself_cannot_be_excluded(tmp_path: Path, table: str, said: str) -> None:
    """`exclude_tables` is for caches and the like."""
    lines = mistakes(tmp_path, f"jobs: {{nightly: {{exclude_tables: [embedding_cache, {table}]}}}}")
    assert lines[0] == f"jobs.nightly.exclude_tables (FILE:1): cannot leave out {said}: the memory itself"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("host: 5", "host (FILE:1): must be text; put it in quotes if it looks like something else"),
        (
            "host: a b",
            "host (FILE:1): must be 1 to 64 letters, digits, ., _ and -, as it is part of every archive's name",
        ),
        ("timezone: Europe/Berlni", "timezone (FILE:1): must be an IANA time zone such as Europe/Berlin or UTC"),
        ("timezone: ../UTC", "timezone (FILE:1): must be an IANA time zone such as Europe/Berlin or UTC"),
        ("store: /x", "store (FILE:1): must be a section with keys of its own"),
        ("store: {path: 5}", "store.path (FILE:1): must be a path"),
        ("store:\n", "store (FILE:1): is empty; give it a value or remove the key"),
        ("jobs: []", "jobs (FILE:1): must be a section with keys of its own"),
        ("jobs: {}", "jobs (FILE:1): must not be empty"),
        ("jobs: {nightly: }", "jobs.nightly (FILE:1): is empty; give it a value or remove the key"),
        ("destinations: {}", "destinations (FILE:1): must not be empty"),
        ("destinations: {d: {type: ftp, path: /x}}", "destinations.d.type (FILE:1): must be local or s3"),
        ("destinations: {d: {type: [s3]}}", "destinations.d.type (FILE:1): must be local or s3"),
        ("destinations: {d: /x}", "destinations.d (FILE:1): must be a section with keys of its own"),
        ("destinations: {d: }", "destinations.d (FILE:1): is empty; give it a value or remove the key"),
        ("destinations: {s3: {type: s3}}", "destinations.s3.bucket (FILE:1): is required"),
        (
            "destinations: {d: {type: s3, bucket: abc, bukket: x}}",
            "destinations.d.bukket (FILE:1): unknown key; did you mean bucket?",
        ),
        (
            "destinations: {d: {type: s3, bucket: 'a b c'}}",
            "destinations.d.bucket (FILE:1): must be a bucket's name: 3 to 63 letters, digits, ., _ and -",
        ),
        (
            "destinations: {d: {type: s3, bucket: abc, endpoint_url: 'https://me:correct-horse@host'}}",
            "destinations.d.endpoint_url (FILE:1): must be an http or https address, without credentials in it",
        ),
        (
            "destinations: {d: {type: s3, bucket: abc, part_size: 1MiB}}",
            "destinations.d (FILE:1): has a part_size that no bucket takes; 5MiB to 5GiB will do",
        ),
        (
            "destinations: {d: {type: s3, bucket: abc, upload_limit: 5}}",
            "destinations.d.upload_limit (FILE:1): must be text; put it in quotes if it looks like something else",
        ),
        (
            "destinations: {d: {type: s3, bucket: abc, upload_limit: 5MB}}",
            "destinations.d.upload_limit (FILE:1): must be a size such as 512KiB, 16MiB or 1GiB",
        ),
        (
            "destinations: {d: {type: s3, bucket: abc, kms_key_id: x}}",
            "destinations.d (FILE:1): has a kms_key_id, which goes with sse: aws:kms only",
        ),
        (
            "destinations: {d: {type: s3, bucket: abc, object_lock: {mode: NONE, days: 1}}}",
            "destinations.d.object_lock.mode (FILE:1): must be GOVERNANCE or COMPLIANCE",
        ),
        (
            "destinations: {d: {type: s3, bucket: abc, object_lock: {mode: GOVERNANCE}}}",
            "destinations.d.object_lock.days (FILE:1): is required",
        ),
        ("destinations: {d: {type: local}}", "destinations.d.path (FILE:1): is required"),
        ("jobs: {n: {compress: zip}}", "jobs.n.compress (FILE:1): must be none, gzip or zstd"),
        ("jobs: {n: {vectors: perhaps}}", "jobs.n.vectors (FILE:1): must be true or false"),
        ("jobs: {n: {vectors: [1]}}", "jobs.n.vectors (FILE:1): must be true or false"),
        ("jobs: {n: {projects: one}}", "jobs.n.projects (FILE:1): must be a list, such as [one, two]"),
        ("jobs: {n: {projects: [a, a]}}", "jobs.n.projects (FILE:1): names the same thing twice"),
        (
            "jobs: {n: {projects: [1]}}",
            "jobs.n.projects (FILE:1): must be text; put it in quotes if it looks like something else",
        ),
        ("jobs: {n: {retention: {keep_daily: many}}}", "jobs.n.retention.keep_daily (FILE:1): must be a whole number"),
        ("jobs: {n: {retention: {keep_daily: true}}}", "jobs.n.retention.keep_daily (FILE:1): must be a whole number"),
        ("jobs: {n: {retention: {keep_daily: 1.5}}}", "jobs.n.retention.keep_daily (FILE:1): must be a whole number"),
        ("jobs: {n: {retention: {keep_daily: .inf}}}", "jobs.n.retention.keep_daily (FILE:1): must be a whole number"),
        ("jobs: {n: {retention: {keep_daily: [1]}}}", "jobs.n.retention.keep_daily (FILE:1): must be a whole number"),
        ("jobs: {n: {retention: {keep_daily: -1}}}", "jobs.n.retention.keep_daily (FILE:1): must be 0 or more"),
        (
            "jobs: {n: {retention: {keep_last: 1, keep_minimum: 0}}}",
            "jobs.n.retention.keep_minimum (FILE:1): must be 1 or more",
        ),
        ("password: {}", "password (FILE:1): must have exactly one of the keys env, file, command and credential"),
        (
            "password: {env: A, file: b}",
            "password (FILE:1): must have exactly one of the keys env, file, command and credential",
        ),
        ("password: {command: pass}", "password.command (FILE:1): must be a list, such as [one, two]"),
        ("password: {command: []}", "password.command (FILE:1): must not be empty"),
        (
            "password: {credential: ../x}",
            "password.credential (FILE:1): must be the name of a credential, not a path and not its value",
        ),
        (
            "password: {env: 'correct-horse'}",
            "password.env (FILE:1): must be the name of an environment variable, not its value",
        ),
        ("password: 'correct-horse'", "password (FILE:1): must be a section with keys of its own"),
    ],
)
def test_a_bad_value_is_described_in_plain_words(tmp_path: Path, text: str, line: str) -> None:
    """What the value should be, never what it is: it may be a secret in the wrong place."""
    assert mistakes(tmp_path, text) == [line]


@pytest.mark.parametrize("span", ["14", "0d", "1m", "1d 2h", "-1d", "999999w"])
def test_a_span_of_time_has_a_unit_and_a_limit(tmp_path: Path, span: str) -> None:
    """A bare number, a month and a span longer than history are refused."""
    (line,) = mistakes(tmp_path, f"jobs: {{n: {{retention: {{keep_within: '{span}'}}}}}}")
    assert "must be a number of hours, days or weeks such as 36h" in line


@pytest.mark.parametrize("text", ["{}", "{keep_daily: 0}", "{keep_minimum: 3}"])
def test_a_retention_that_keeps_nothing_is_refused(tmp_path: Path, text: str) -> None:
    """A policy without a rule would have rotation remove what the floor does not hold."""
    (line,) = mistakes(tmp_path, f"jobs: {{nightly: {{retention: {text}}}}}")
    assert line.startswith("jobs.nightly.retention (FILE:1): ")
    assert "keeps nothing" in line


@pytest.mark.parametrize("name", ["my-job", "a b", ".hidden", "a/b", "''", "x" * 65])
def test_a_jobs_name_must_fit_an_archives_name(tmp_path: Path, name: str) -> None:
    """The first dash of an archive's name ends the job's."""
    (line,) = mistakes(tmp_path, f"jobs: {{{name}: {{}}}}")
    assert "a job's name is at most 64 letters, digits, _ and ." in line


@pytest.mark.parametrize("name", ["a b", "-x", "a/b"])
def test_a_destinations_name_may_hold_dashes_but_no_spaces(tmp_path: Path, name: str) -> None:
    """Destination names are plain words."""
    (line,) = mistakes(tmp_path, f"destinations: {{{name}: {{type: local, path: /x}}}}")
    assert "a destination's name is at most 64 letters, digits, _, . and -" in line


def test_a_jobs_destinations_must_exist(tmp_path: Path) -> None:
    """A job that names an unknown destination is told the nearest, or all there are."""
    text = (
        "destinations: {offsite: {type: local, path: /x}}\njobs: {a: {destinations: [ofsite]}, b: {destinations: [zz]}}"
    )
    assert mistakes(tmp_path, text)[1:] == [
        "jobs.a.destinations (FILE:2): there is no destination ofsite; did you mean offsite?",
        "jobs.b.destinations (FILE:2): there is no destination zz; there are offsite",
    ]


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    """One message, a line each, from every layer, whatever else is wrong."""
    text = "stroe: {}\nhost: 5\njobs: {n: {destinations: [gone], retention: {keep_dayly: 1}}}"
    lines = mistakes(
        tmp_path, text, {"ECM_AGENT_STROE__PATH": "x", "ECM_AGENT_JOBS__N__VECTORS": "?"}, {"state_dir": "$X"}
    )
    assert lines[0] == "The configuration has 7 problems:"
    assert {line.split(" ")[0] for line in lines[1:]} == {
        "stroe",
        "stroe.path",
        "host",
        "state_dir",
        "jobs.n.destinations",
        "jobs.n.retention.keep_dayly",
        "jobs.n.vectors",
    }


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("ECM_AGENT_STROE__PATH", "x", "stroe.path (ECM_AGENT_STROE__PATH): unknown key; did you mean store.path?"),
        ("ECM_AGENT_STORE__PAHT", "x", "store.paht (ECM_AGENT_STORE__PAHT): unknown key; did you mean path?"),
        ("ECM_AGENT_STORE_PATH", "x", "store_path (ECM_AGENT_STORE_PATH): unknown key; did you mean store.path?"),
        ("ECM_AGENT_HOST__X", "x", "host.x (ECM_AGENT_HOST__X): unknown key; did you mean host?"),
        (
            "ECM_AGENT_STORE__PATH__X",
            "x",
            "store.path.x (ECM_AGENT_STORE__PATH__X): unknown key; did you mean store.path?",
        ),
        (
            "ECM_AGENT_JOBS__NIGHTLY__RETENTION__KEEP_DAYLY",
            "7",
            (
                "jobs.nightly.retention.keep_dayly (ECM_AGENT_JOBS__NIGHTLY__RETENTION__KEEP_DAYLY): unknown key; "
                "did you mean keep_daily?"
            ),
        ),
        (
            "ECM_AGENT_JOBS__NIGTLY__COMPRESS",
            "gzip",
            (
                "jobs.nigtly.compress (ECM_AGENT_JOBS__NIGTLY__COMPRESS): the file has no such entry in jobs; "
                "did you mean nightly?"
            ),
        ),
        ("ecm_agent_hots", "x", "hots (ecm_agent_hots): unknown key; did you mean host?"),
        ("ECM_AGENT_", "x", " (ECM_AGENT_): unknown key"),
        (
            "ECM_AGENT_HOST",
            "",
            "host (ECM_AGENT_HOST): must be 1 to 64 letters, digits, ., _ and -, as it is part of every archive's name",
        ),
        ("ECM_AGENT_PASSWORD", SECRET, "password (ECM_AGENT_PASSWORD): must be a section with keys of its own"),
        (
            "ECM_AGENT_PASSWORD__COMMAND",
            "pass show x",
            "password.command (ECM_AGENT_PASSWORD__COMMAND): must be a list, such as [one, two]",
        ),
        ("ECM_AGENT_STORE", "/x", "store (ECM_AGENT_STORE): must be a section with keys of its own"),
        ("ECM_AGENT_STORE", '{"paht": "/x"}', "store.paht (ECM_AGENT_STORE): unknown key; did you mean path?"),
        (
            "ECM_AGENT_STORE__PATH",
            "$HOME/x",
            "store.path (ECM_AGENT_STORE__PATH): starts with or holds a variable, which is not expanded; only ~ is",
        ),
    ],
)
def test_a_mistyped_or_bad_variable_is_never_overlooked(tmp_path: Path, variable: str, value: str, line: str) -> None:
    """A variable with our prefix either sets a key or is reported by its own name."""
    assert mistakes(tmp_path, "jobs: {nightly: {}}", {variable: value}) == [line.strip()]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ECM_AGENT_STORE", "ECM_AGENT_STORE__PATH"),
        ("ECM_AGENT_JOBS__NIGHTLY", "ECM_AGENT_JOBS__NIGHTLY__COMPRESS"),
        ("ECM_AGENT_HOST", "ecm_agent_host"),
    ],
)
def test_two_variables_for_one_key_are_refused(tmp_path: Path, one: str, other: str) -> None:
    """Which of them would win nobody could tell."""
    lines = mistakes(tmp_path, "jobs: {nightly: {}}", {one: "{}", other: "x"})
    assert any(f"({other}): is also given by {one}; set only one of the two" in line for line in lines)


def test_the_command_line_is_held_to_the_same_keys(tmp_path: Path) -> None:
    """A value from the command line is reported as such."""
    line = "jobs.n.compress (command line): must be none, gzip or zstd"
    assert mistakes(tmp_path, "jobs: {n: {}}", overrides={"jobs": {"n": {"compress": "zip"}}}) == [line]
