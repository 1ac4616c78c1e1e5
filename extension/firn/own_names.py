"""The user's own variables, as `%who` knows them: what IPython and firn put into the namespace is left out."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell


def own_names(shell: InteractiveShell) -> set[str]:
    hidden = shell.user_ns_hidden
    return {
        name
        for name, value in shell.user_ns.items()
        if not name.startswith("_") and (name not in hidden or hidden[name] is not value)
    }
