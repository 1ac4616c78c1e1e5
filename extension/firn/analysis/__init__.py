"""Which loops of a cell can run in parallel with the result of the serial cell: pure, knows neither pool nor heap.

scopes (names), flow (definite assignment), cellfacts (what is known before the cell runs), body (what may not stand in
a loop), places, surroundings, reductions, champions, unseen, known and presence (statements that change something),
forms, containers, tallies, nested and forming (how that is merged), classify and comprehensions (verdicts), codegen and
rewrite (the two halves of the cell), type_calls (what `type(x)` becomes), templates (code written as text), chunk,
values and contest (the workers' part at run time), later (what must be copied), plan (the result), refusals (every
message).

Workers import `chunk` and what it needs only, so that the rest is imported when it is asked for.
"""

import importlib

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any

    from .cell import analyze, uses_parallel
    from .plan import CellPlan, SplitLoop
    from .refusals import Refusal

__all__ = ["CellPlan", "Refusal", "SplitLoop", "analyze", "uses_parallel"]

_HOMES = {
    "CellPlan": "plan",
    "Refusal": "refusals",
    "SplitLoop": "plan",
    "analyze": "cell",
    "uses_parallel": "cell",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return globals().setdefault(name, getattr(importlib.import_module(f".{home}", __name__), name))
