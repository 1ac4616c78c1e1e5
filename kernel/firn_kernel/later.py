"""Modules that the start would import for nobody: stand-ins that import them when somebody first asks them for something.

asyncio imports ssl, which brings OpenSSL's half for TLS and 1.5 MB, and hardly a session opens TLS connections through
asyncio; IPython imports tempfile (1 MB) for a home directory that cannot be written to.
"""

import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _StandIn(types.ModuleType):
    """What code holds that has imported a module too early."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def later(*names: str) -> Iterator[None]:
    """While it lasts, who imports one of these modules gets a stand-in, unless the module is there already.

    For the kernel's start alone: no other thread imports anything meanwhile.
    """
    given = {name: _StandIn(name) for name in names if name not in sys.modules}
    sys.modules.update(given)
    try:
        yield
    finally:
        for name, module in given.items():
            if sys.modules.get(name) is not module:
                continue  # somebody has asked
            del sys.modules[name]
            package, _, child = name.rpartition(".")
            if package in sys.modules:
                setattr(sys.modules[package], child, module)  # as an import leaves it


def import_asyncio() -> None:
    """Imports asyncio without what it needs for TLS alone."""
    with later("ssl", "asyncio.sslproto"):
        import asyncio  # noqa: F401
