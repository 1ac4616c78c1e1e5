"""Freeze large read-only data once and let all cores read it by reference."""

from firn._core import NotFreezableError, freeze, is_frozen, thaw
from firn.teach import teach

__all__ = ["NotFreezableError", "freeze", "is_frozen", "thaw"]

teach()
