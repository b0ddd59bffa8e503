"""config check, config show, config schema."""

import typer

from ecm_agent.cli import options
from ecm_agent.cli.screen import screen
from ecm_agent.cli.settings import loaded
from ecm_agent.cli.wording import table

app = typer.Typer(help="Check, show and describe the configuration.", no_args_is_help=True)


@app.command()
def check(config: options.Config = None, *, json: options.Json = False) -> None:
    """Read the configuration and say whether it is sound."""
    with screen(json=json) as out:
        found = loaded(config)
        found.refuse_two_stores()
        out.say(f"The configuration is sound ({found.file or 'no file: defaults and environment'}).")
        out.summary("config check", {"file": str(found.file) if found.file else None})


@app.command()
def show(config: options.Config = None, *, json: options.Json = False) -> None:
    """Print every key in effect and where it was set. Never a password."""
    from ecm_agent.config.loading import show as effective

    with screen(json=json) as out:
        rows = list(effective(loaded(config)))
        out.say(*table(("KEY", "VALUE", "FROM"), [(key, str(value), origin) for key, value, origin in rows]))
        for key, value, origin in rows:
            out.summary("config show", {"key": key, "value": value, "origin": origin})


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from json import dumps

    from ecm_agent.config.schema import json_schema

    with screen(json=False) as out:
        out.say(dumps(json_schema(), indent=2))
