"""Freeze large read-only data once and let all cores read it by reference."""

from firn import _core
