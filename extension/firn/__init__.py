"""Freeze large read-only data once and let all cores read it by reference.

`%load_ext firn` in a notebook makes `%%parallel` cells run on all cores.
"""

from __future__ import annotations

import sys
from importlib import import_module

if sys.implementation.name != "cpython" or not (3, 14) <= sys.version_info[:2] <= (3, 15):
    raise ImportError(f"firn needs CPython 3.14 or 3.15, for it knows their object layouts: this is {sys.version}")
if "t" in sys.abiflags:
    raise ImportError("firn needs a CPython with the GIL (each worker has its own): this is the free-threaded build")
try:
    from firn._core import Array, NotFreezableError, thaw
except ImportError as error:  # "initialization failed" hides the sentence that says why
    raise error.__cause__ or error from None
from firn.errors import WorkerError
from firn.functions import freeze, is_frozen
from firn.kept_reports import KeptReports
from firn.optouts import freezable, frozen, set_freezable, unfreezable
from firn.teach import teach

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any

    from IPython.core.interactiveshell import InteractiveShell

    from firn.executor import Executor, share
    from firn.releasing import release
    from firn.report import Report
    from firn.shared import local, shared_field

    __version__: str

__all__ = [
    "Array",
    "Executor",
    "NotFreezableError",
    "WorkerError",
    "__version__",
    "freezable",
    "freeze",
    "frozen",
    "is_frozen",
    "last_report",
    "local",
    "release",
    "reports",
    "set_freezable",
    "share",
    "shared_field",
    "thaw",
    "unfreezable",
]

_reports = KeptReports(200)


def last_report() -> Report | None:
    """The figures of the last `%%parallel` cell: print it for a line of text, `.to_dict()` for JSON; None if none ran."""
    return _reports.last()


def reports() -> list[Report]:
    """The figures of this session's `%%parallel` cells, the last 200 at most, oldest first."""
    return list(_reports)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext firn`: adds `%%parallel` and its companions to a shell, and starts the workers."""
    from firn.session import SESSION

    SESSION.warm()  # meanwhile the rest is imported
    from firn import notebook

    notebook.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """`%unload_ext firn`: the shell is what it was before; frozen variables stay readable."""
    from firn import notebook

    notebook.unload(shell)


_LATE = {
    "__version__": "_version",
    "Executor": "executor",
    "share": "executor",
    "release": "releasing",
    "local": "shared",
    "shared_field": "shared",
}
"""Names whose modules a worker, which imports this one too, seldom needs."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'firn' has no attribute {name!r}")
    return globals().setdefault(name, getattr(import_module(f"firn.{_LATE[name]}"), name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


teach()
