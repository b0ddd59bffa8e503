"""The schema for editors and the example: both say what the program does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic_core import PydanticUndefined

from ecm_agent.config.destinations import S3DestinationSettings
from ecm_agent.config.jobs import VerifySettings
from ecm_agent.config.keys import leaves
from ecm_agent.config.loading import load
from ecm_agent.config.schema import json_schema
from ecm_agent.destination.s3 import ObjectLock

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "config"
EXAMPLE = FOLDER / "ecm-agent.example.yaml"


def sections(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "the top", schema
    yield from schema["$defs"].items()


def test_the_file_for_editors_is_the_schema() -> None:
    """After a change of the settings: `ecm-agent config schema > config/ecm-agent.schema.json`."""
    text = json.dumps(json_schema(), indent=2, sort_keys=False) + "\n"
    assert (FOLDER / "ecm-agent.schema.json").read_text(encoding="utf-8") == text


def test_every_key_is_described_and_no_other_is_allowed() -> None:
    """At every depth."""
    for name, section in sections(json_schema()):
        assert section["additionalProperties"] is False, name
        for key, about in section["properties"].items():
            assert about["description"], f"{name}.{key}"
            assert about.get("additionalProperties", False) is False, f"{name}.{key}"


def test_the_schema_asks_for_nothing_that_has_a_default() -> None:
    """An empty file is a valid one; null is no value."""
    schema = json_schema()
    assert "required" not in schema
    assert '"null"' not in json.dumps(schema)
    assert schema["$schema"].endswith("2020-12/schema")


def test_the_defaults_in_the_schema_are_those_in_effect() -> None:
    """An editor shows what happens without the key."""
    defs = json_schema()["$defs"]
    settings = load(Path("/dev/null"), environ={"HOME": "/home/me"}, cwd=Path("/")).settings
    assert str(settings.store.path) == defs["StoreSettings"]["properties"]["path"]["default"].replace("~", "/home/me")
    job = settings.jobs["default"]
    job_keys = defs["JobSettings"]["properties"]
    assert job.retention.model_dump(exclude_unset=True) == job_keys["retention"]["default"]
    assert (job.compress, job.projects, job.vectors, job.redact) == ("none", [], None, [])
    assert {key: about.get("default") for key, about in job_keys.items() if key not in {"retention", "hooks"}} == {
        "schedule": None,
        "jitter": None,
        "verify": None,
        "destinations": [],
        "compress": "none",
        "projects": [],
        "vectors": None,
        "exclude_tables": [],
        "redact": [],
        "ping": None,
    }


def test_the_example_changes_nothing() -> None:
    """Its values are the defaults, so that a copy of it is a safe beginning."""
    example, without = (
        load(file, environ={"HOME": "/home/me"}, cwd=Path("/")).settings for file in (EXAMPLE, Path("/dev/null"))
    )
    assert example == without


@pytest.mark.parametrize("source", ["file", "command", "credential"])
def test_what_is_commented_out_in_the_example_works_too(tmp_path: Path, source: str) -> None:
    """Every `#key:` can be uncommented as it stands (of the password's sources one at a time)."""
    text = re.sub(r"^( *)env:", r"\1#env:", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    start, password, rest = text.partition("\npassword:\n")
    rest, found = re.subn(rf"^( *)#({source}: )", r"\1\2", rest, count=1, flags=re.MULTILINE)
    text = start + password + rest
    text, others = re.subn(r"^( *)#((?:timezone|host|keep_within|jitter): )", r"\1\2", text, flags=re.MULTILINE)
    file = tmp_path / "conf.yaml"
    file.write_text(text)
    settings = load(file, environ={"HOME": "/home/me"}, cwd=tmp_path).settings
    assert (found, others) == (1, 4)
    assert getattr(settings.password, source)
    assert (settings.timezone, settings.host) == ("Europe/Berlin", "laptop")
    assert settings.jobs["default"].retention.keep_within == "14d"
    assert settings.jobs["default"].jitter == "10m"


@pytest.mark.parametrize("source", ["env", "file", "command", "credential", "keyring"])
def test_the_keys_of_a_store_in_the_example_work_too(tmp_path: Path, source: str) -> None:
    """Each source of a store's key can be uncommented as it stands, one at a time."""
    start, key, rest = EXAMPLE.read_text(encoding="utf-8").partition("  #key:\n")
    wanted = f"{source}|service|account" if source == "keyring" else source
    rest = re.sub(rf"^( {{4,}})#({wanted}):", r"\1\2:", rest, count=3 if source == "keyring" else 1, flags=re.MULTILINE)
    file = tmp_path / "conf.yaml"
    file.write_text(f"{start}{key.replace('#', '')}{rest}")
    found = load(file, environ={"HOME": "/home/me"}, cwd=tmp_path).settings.store.key
    assert found
    assert found.model_fields_set == {source}


def test_the_verification_of_the_example_works_too(tmp_path: Path) -> None:
    """Uncommented, its lines are a verification with the defaults."""
    head, verify, rest = EXAMPLE.read_text(encoding="utf-8").partition("    #verify:\n")
    block, mark, tail = rest.partition("    # The destinations")
    block = re.sub(r"^( +)#(?=[a-z_]+:)", r"\1", block, flags=re.MULTILINE)
    file = tmp_path / "conf.yaml"
    file.write_text(head + verify.replace("#", "") + block + mark + tail)
    found = load(file, environ={"HOME": "/home/me"}, cwd=tmp_path).settings.jobs["default"].verify
    assert found == VerifySettings(schedule="0 6 * * 0", level="decrypt", cover="30d")


def test_what_is_kept_in_the_example_works_too(tmp_path: Path) -> None:
    """Uncommented, its lines say how many safety archives are kept; commented out, all are."""
    text, count = re.subn(
        r"^#safety:\n  #keep:", "safety:\n  keep:", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    file = tmp_path / "conf.yaml"
    file.write_text(text)
    assert count == 1
    assert load(file, environ={"HOME": "/home/me"}, cwd=tmp_path).settings.safety.keep == 10
    assert load(EXAMPLE, environ={"HOME": "/home/me"}, cwd=tmp_path).settings.safety.keep is None


@pytest.mark.parametrize("source", ["env", "file", "url"])
def test_the_addresses_in_the_example_work_too(tmp_path: Path, source: str) -> None:
    """A ping has one of its three sources; notifications may have several."""
    before, ping, after = EXAMPLE.read_text(encoding="utf-8").partition("    #ping:")
    after, count = re.subn(rf"^( *)#({source}: )", r"\1\2", after, flags=re.MULTILINE)
    start, notify, middle = before.partition("\nnotify:\n")
    middle = re.sub(r"^  #(env|file): ", r"  \1: ", middle, flags=re.MULTILINE)
    file = tmp_path / "conf.yaml"
    file.write_text(f"{start}{notify}{middle}{ping.replace('#', '')}{after}")
    settings = load(file, environ={"HOME": "/home/me"}, cwd=tmp_path).settings
    assert count == 1
    assert settings.jobs["default"].ping
    assert getattr(settings.jobs["default"].ping, source)
    assert (settings.notify.env, settings.notify.file) == ("ECM_NOTIFY_URLS", Path("/home/me/.config/ecm-agent/notify"))


def test_the_bucket_of_the_example_works_too(tmp_path: Path) -> None:
    """Uncommented, its lines are a destination; those with a default have the default for their example."""
    head, _, rest = EXAMPLE.read_text(encoding="utf-8").partition("  #offsite:\n")
    block, gap, tail = rest.partition("\n\n")
    block = re.sub(r"^( +)#(?=[a-z_]+:)", r"\1", block, flags=re.MULTILINE)
    file = tmp_path / "conf.yaml"
    file.write_text(f"{head}  offsite:\n{block}{gap}{tail}")
    place = load(file, environ={"HOME": "/home/me"}, cwd=tmp_path).settings.destinations["offsite"]
    assert isinstance(place, S3DestinationSettings)
    assert place.model_fields_set == set(S3DestinationSettings.model_fields)
    for key, field in S3DestinationSettings.model_fields.items():
        if field.default not in (None, PydanticUndefined, "") and key != "sse":
            assert getattr(place, key) == field.default, key
    assert place.options().object_lock == ObjectLock("GOVERNANCE", 30)
    assert place.options().part_size == 8 << 20
    assert place.options().upload_limit == 4 << 20


def test_the_example_mentions_every_key() -> None:
    """With its value, commented out or not; and it points editors to the schema beside it."""
    text = EXAMPLE.read_text(encoding="utf-8")
    first = text.splitlines()[0]
    assert first == "# yaml-language-server: $schema=ecm-agent.schema.json"
    keys = {key for _, section in sections(json_schema()) for key in section["properties"]}
    missing = [key for key in keys if not re.search(rf"^ *#?{key}:", text, flags=re.MULTILINE)]
    assert len(keys) > 20
    assert missing == []


def test_the_leaves_of_settings_are_their_keys() -> None:
    """An empty section is a key of its own, a list is one value."""
    assert list(leaves({"a": {"b": [1], "c": {}}})) == [(("a", "b"), [1]), (("a", "c"), {})]
