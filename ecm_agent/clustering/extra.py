"""Whether the libraries that cluster are here: they are an extra of this package."""

from __future__ import annotations

from importlib.util import find_spec

from ecm_agent.errors import UsageError

_LIBRARIES = ("hdbscan", "numpy")


def require() -> None:
    """Raise `UsageError` when a library is missing. Loads nothing."""
    if missing := [name for name in _LIBRARIES if find_spec(name) is None]:
        raise UsageError(
            f"Re-clustering needs the {' and '.join(missing)} library, which is not installed.",
            hint="Install it with: pip install 'ecm-agent[cluster]'",
        )
