"""What the machine says where the configuration does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecm_agent.config.places import config_home, found_of, home, state_directory, time_zone


@pytest.mark.parametrize(
    ("environ", "path", "origin"),
    [
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "XDG_STATE_HOME": "/xdg"}, "/var/lib/a", "STATE_DIRECTORY"),
        ({"STATE_DIRECTORY": "", "XDG_STATE_HOME": "/xdg"}, "/xdg/ecm-agent", "XDG_STATE_HOME"),
        ({"XDG_STATE_HOME": "relative"}, "/home/me/.local/state/ecm-agent", "default"),
        ({}, "/home/me/.local/state/ecm-agent", "default"),
    ],
)
def test_the_state_directory_is_systemds_then_the_desktops_then_the_homes(
    environ: dict[str, str], path: str, origin: str
) -> None:
    """Of several of systemd's the first; a relative one of the desktop's is overlooked, as its rules say."""
    assert state_directory({"HOME": "/home/me", **environ}) == (Path(path), origin)


def test_a_relative_configuration_home_is_overlooked() -> None:
    """As the rules of the desktop say."""
    assert config_home({"HOME": "/home/me", "XDG_CONFIG_HOME": "x"}) == Path("/home/me/.config/ecm-agent")


def test_without_home_the_user_database_knows_it() -> None:
    """A service without HOME still has one."""
    assert home({}).is_absolute()


@pytest.mark.parametrize(
    ("tz", "name"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (":Europe/Berlin", "Europe/Berlin"),
        ("/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        ("", "UTC"),
    ],
)
def test_the_variable_names_the_zone(tmp_path: Path, tz: str, name: str) -> None:
    """In each of the forms the C library takes; an empty one means UTC there too."""
    (tmp_path / "timezone").write_text("Asia/Tokyo\n")
    assert time_zone({"TZ": tz}, tmp_path) == (name, "TZ")


@pytest.mark.parametrize("target", ["/usr/share/zoneinfo/Europe/Berlin", "../usr/share/zoneinfo/posix/Europe/Berlin"])
def test_the_link_of_the_system_names_the_zone(tmp_path: Path, target: str) -> None:
    """Its target's name is the answer, whether or not it is there; a variable that is no zone is passed over."""
    (tmp_path / "localtime").symlink_to(target)
    (tmp_path / "timezone").write_text("Asia/Tokyo\n")
    assert time_zone({"TZ": "XYZ-3"}, tmp_path) == ("Europe/Berlin", "default")


def test_the_file_of_the_system_names_the_zone(tmp_path: Path) -> None:
    """Where localtime is a copy, not a link."""
    (tmp_path / "localtime").write_bytes(b"TZif2")
    (tmp_path / "timezone").write_text("Asia/Tokyo\n")
    assert time_zone({}, tmp_path) == ("Asia/Tokyo", "default")


@pytest.mark.parametrize("content", [b"", b"Nowhere/Land\n", b"\xff\xfe"])
def test_a_system_that_does_not_know_its_zone_is_in_utc(tmp_path: Path, content: bytes) -> None:
    """A zone is never guessed."""
    (tmp_path / "timezone").write_bytes(content)
    assert time_zone({}, tmp_path) == ("UTC", "default")


def test_of_the_usual_places_those_are_found_where_something_is(tmp_path: Path) -> None:
    """In their order; a folder of that name, and a link that leads nowhere, may stand for a store and count."""
    file, folder, link, missing, below = (tmp_path / name for name in ("file", "folder", "link", "missing", "file/x"))
    file.touch()
    folder.mkdir()
    link.symlink_to(tmp_path / "nowhere")
    assert found_of([missing, file, below, link, folder]) == (file, link, folder)
    assert found_of([missing]) == ()


def test_two_names_of_one_file_are_one_place(tmp_path: Path) -> None:
    """Whoever has linked one place to the other has one store; it is found under the first name."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.touch()
    second.symlink_to(first)
    assert found_of([first, second]) == (first,)
    assert found_of([second, first]) == (second,)


def test_a_place_that_cannot_be_looked_at_counts_as_one(tmp_path: Path) -> None:
    """What cannot be asked after is not taken for missing: a name too long for the system is such a place."""
    unaskable = tmp_path / ("x" * 5000)
    assert found_of([unaskable]) == (unaskable,)
