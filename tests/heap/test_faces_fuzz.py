"""Whatever is called on a frozen value with whatever arguments, it answers or raises; it stays what it was."""

from __future__ import annotations

import operator
import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import firn
import pytest
from firn import _core

VALUES: list[Any] = [
    [1, [2], {"a": 1}],
    {"a": 1, "b": [2], (3,): {"c": None}},
    {1, "x", (2,)},
    deque([1, [2]], 5),
    OrderedDict(b=1, a=[2]),
    defaultdict(list, a=[1]),
    Counter("aab"),
]
# Names that would end or stop the test itself, or that read the terminal.
AVOIDED = {"__class__", "__init_subclass__", "__subclasshook__"}
BINARY: list[Callable[[Any, Any], Any]] = [
    *(
        getattr(operator, name)
        for name in ["add", "sub", "mul", "and_", "or_", "xor", "matmul", "truediv", "mod", "lshift", "concat"]
    ),
    *(getattr(operator, name) for name in ["iadd", "isub", "imul", "iand", "ior", "ixor", "iconcat"]),
    *(
        getattr(operator, name)
        for name in ["eq", "ne", "lt", "le", "gt", "ge", "contains", "getitem", "delitem", "is_"]
    ),
    divmod,
    isinstance,
    getattr,
    hasattr,
]
UNARY: list[Callable[[Any], Any]] = [
    *(
        repr,
        str,
        hash,
        len,
        bool,
        list,
        tuple,
        dict,
        set,
        iter,
        next,
        reversed,
        sorted,
        min,
        max,
        sum,
        abs,
        int,
        dir,
        vars,
    ),
    *(operator.neg, operator.pos, operator.invert, operator.index, callable, type, id, bytes, enumerate, frozenset),
    *(Counter, OrderedDict, deque),
]


def derived(value: Any) -> list[Any]:
    """Views, iterators and proxies of a frozen value."""
    found = [value, iter(value)]
    if isinstance(value, dict):
        views = [value.keys(), value.values(), value.items()]
        found += views + [iter(view) for view in views] + [reversed(view) for view in views]
        found += [value.items().mapping]
    return found


@pytest.mark.parametrize("seed", range(3))
def test_anything_may_be_called(seed: int) -> None:
    choice = random.Random(seed)
    frozen = [firn.freeze(value) for value in VALUES]
    before = [repr(value) for value in frozen]

    def argument() -> Any:
        plain = [
            None,
            0,
            1,
            -1,
            2**70,
            1.5,
            "a",
            "",
            b"x",
            (),
            (1, 2),
            slice(0, 2),
            slice(None, None, -1),
            object(),
            int,
            str,
        ]
        made = [
            [],
            [1],
            {},
            {"a": 1},
            set(),
            {1},
            lambda *arguments: 1,
            iter([1]),
            *frozen,
            *derived(choice.choice(frozen)),
        ]
        return choice.choice(plain + made)

    answered = 0
    for _ in range(12_000):
        target = choice.choice(derived(choice.choice(frozen)))
        arguments = [argument() for _ in range(choice.choice([0, 1, 1, 1, 2, 2, 3]))]
        kind = choice.randrange(5)
        try:
            if kind == 0:
                choice.choice(UNARY)(target)
            elif kind == 1:
                pair = [target, argument()]
                choice.shuffle(pair)
                if type(pair[0]) in (_core.FrozenList, _core.FrozenDict, _core.FrozenFace) or pair[1] is target:
                    choice.choice(BINARY)(*pair)
            else:
                holder = type(target) if kind == 2 else target
                name = choice.choice([name for name in dir(type(target)) + dir(target) if name not in AVOIDED])
                found = getattr(holder, name)
                if kind == 2:
                    arguments.insert(0, choice.choice([target, argument()]))
                found(*arguments, **({"key": argument()} if choice.random() < 0.05 else {}))
            answered += 1
        except Exception:
            pass
    assert [repr(value) for value in frozen] == before
    assert frozen == VALUES
    assert answered > 2000
