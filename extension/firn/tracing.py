"""tracemalloc looks at every allocation of the process, and ends CPython 3.14 and 3.15 in a crash or a hang when another
interpreter with a GIL of its own allocates (cpython#134604). So no worker starts or gets work while it is tracing."""

from __future__ import annotations

from firn import errors


def is_on() -> bool:
    import _tracemalloc  # late: it does not load in workers, where nobody can start it either

    return bool(_tracemalloc.is_tracing())


def check(line: int | None = None) -> None:
    """Raises Refused while tracemalloc is tracing."""
    if is_on():
        raise errors.tracing(line)
