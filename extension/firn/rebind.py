"""The notebook's names after freezing: every global that was bound to a frozen object's original gets the frozen form."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any


def rebind(namespace: MutableMapping[str, Any], frozen: Mapping[str, object]) -> list[object]:
    """Binds the names to their frozen forms; returns the originals, so that the caller decides when they go."""
    originals = [namespace.get(name) for name in frozen]
    namespace.update(frozen)
    return originals
