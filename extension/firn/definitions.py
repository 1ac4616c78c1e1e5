"""Finds the classes and functions that frozen data names, in an interpreter that has not met them yet.

Frozen data names a definition by a number that means the same in all interpreters; each has its own object for it
(heap/records/definitions.hpp). Workers get those of the notebook with a cell's shipment, before they read anything.
"""

from __future__ import annotations

import importlib
from typing import Any


def find(number: int, module: str, qualname: str) -> Any:
    """The object of this interpreter that a definition's name leads to, imported if need be.

    Raises LookupError for what no import leads to: definitions of the notebook, and those made at run time.
    """
    if module not in ("", "__main__"):
        try:
            found: Any = importlib.import_module(module)
            for word in qualname.split("."):
                found = getattr(found, word)
            return found
        except (ImportError, AttributeError) as error:
            raise LookupError(
                f"frozen data needs {module}.{qualname}, which this interpreter cannot import ({error}): "
                "import its module before the data is read"
            ) from error
    raise LookupError(
        f"frozen data needs {qualname}, which was defined in the notebook and has not come to this worker: "
        f"mention {qualname.partition('.')[0]} in the cell that reads the data, and it is sent along"
    )
