"""Numbers as a reader wants them: times, sizes, counts."""

from __future__ import annotations

from collections.abc import Sequence


def plural(number: int, word: str) -> str:
    """1 worker, 2 workers, 20,000 iterations."""
    return f"{number:,} {word}{'s' if number != 1 else ''}"


def count_objects(number: int) -> str:
    """1 object, 812 objects, 3.1 million objects."""
    return f"{count(number)} object{'s' if number != 1 else ''}"


def a(kind: str) -> str:
    """A type's name with its article: a list, an int."""
    return f"an {kind}" if kind[:1].lower() in tuple("aeio") or kind.startswith("nd") else f"a {kind}"


def seconds(value: float) -> str:
    """A time as a reader wants it: 40 ns, 35 µs, 1.2 ms, 0.38 s, 12.5 s, 3 min 5 s."""
    if value < 0:
        return f"−{seconds(-value)}"
    if 0 < value < 0.9995e-6:
        return f"{value * 1e9:.0f} ns"
    if value < 0.9995e-3:
        return f"{value * 1e6:.0f} µs"
    if value < 0.0995:
        return f"{value * 1e3:.1f} ms" if value < 0.00995 else f"{value * 1e3:.0f} ms"
    if value < 9.995:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def size(value: float) -> str:
    """A size in memory, in powers of ten: 812 B, 3.4 kB, 127 MB, 1.2 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5 or unit == "GB":
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError


def named(names: Sequence[str]) -> str:
    """A few of some names: a, b, c and 7 more."""
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def count(value: int) -> str:
    """A number of objects: 812, 70,735, 3.1 million."""
    return f"{value:,}" if value < 1_000_000 else f"{value / 1e6:.1f} million"
