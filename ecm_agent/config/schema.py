"""The JSON Schema of the configuration file, for editors."""

from __future__ import annotations

from typing import Any

from ecm_agent.config.settings import Settings


def json_schema() -> dict[str, Any]:
    """Give the schema (draft 2020-12): every key described, unknown keys refused.

    It says what may be written, so nothing at the top is required, and `null`, which the settings use for "not
    given", is not a value.
    """
    schema = Settings.model_json_schema()
    del schema["required"]
    about = {"title": "Configuration of ecm-agent", "description": "The keys of ecm-agent.yaml and config.yaml."}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_tidy(schema), **about}


def _tidy(node: Any) -> Any:  # noqa: ANN401 (any JSON value)
    if isinstance(node, list):
        return [_tidy(each) for each in node]
    if not isinstance(node, dict):
        return node
    tidy = {key: _tidy(value) for key, value in node.items() if not _is_noise(key, value)}
    choices = [choice for choice in tidy.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        del tidy["anyOf"]
        tidy = {**choices[0], **tidy}
    if "patternProperties" in tidy:
        tidy["additionalProperties"] = False
    return tidy


def _is_noise(key: str, value: object) -> bool:
    """Tell titles, which only repeat a key, and defaults that are no value, from what an editor can use."""
    return (key == "title" and isinstance(value, str)) or (key == "default" and value is None)
