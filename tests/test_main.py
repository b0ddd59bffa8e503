"""The entry: what holds before there is a command to say anything."""

from __future__ import annotations

from typing import NoReturn

import pytest

from ecm_agent import __main__
from ecm_agent.cli import app


def test_ctrl_c_while_the_program_loads_ends_it_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pressed before any command has begun, it ends with 130 and no traceback."""

    def interrupted() -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "main", interrupted)
    monkeypatch.setattr("sys.argv", ["ecm-agent", "list"])
    with pytest.raises(SystemExit) as caught:
        __main__.main()
    assert caught.value.code == 130
    assert capsys.readouterr() == ("", "")
