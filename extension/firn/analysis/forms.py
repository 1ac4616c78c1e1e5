"""The forms of reduction: how a variable that a loop changes is recorded in the workers and merged in the notebook.

Merging has two steps, so that a loop that fails merges nothing: `prepare` computes and may raise, the function that it
returns changes the notebook's variables and does not.
"""

import operator
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, ClassVar, Final

from firn import _core

from . import refusals
from .chunk import CODES, NUMBERS, unpack
from .contest import BEATS, Failed
from .places import measured, measuring
from .values import alike, is_absent, order_of

Commit = Callable[[], None]
Namespace = dict[str, Any]

IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.iadd,
    "-": operator.isub,
    "*": operator.imul,
    "/": operator.itruediv,
    "//": operator.ifloordiv,
    "%": operator.imod,
    "**": operator.ipow,
    "<<": operator.ilshift,
    ">>": operator.irshift,
    "|": operator.ior,
    "&": operator.iand,
    "^": operator.ixor,
    "@": operator.imatmul,
}
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "|": operator.or_,
    "&": operator.and_,
    "^": operator.xor,
}
PICKS: dict[str, Callable[[Any, Any], Any]] = {"max": max, "min": min}
_OF_FLOATS = ("+", "=+", "+=", "-", "=-")  # of which _core.fold_floats knows that they give what operate() gives
SIGNS: dict[str, str] = {
    "Add": "+",
    "Sub": "-",
    "Mult": "*",
    "Div": "/",
    "FloorDiv": "//",
    "Mod": "%",
    "Pow": "**",
    "LShift": "<<",
    "RShift": ">>",
    "BitOr": "|",
    "BitAnd": "&",
    "BitXor": "^",
    "MatMult": "@",
}
MUTABLE = (list, set, dict, Counter, deque, OrderedDict, defaultdict, bytearray)


def operate(op: str, left: Any, right: Any) -> Any:
    """`left op right`: "+" is `left += right`, "=+" is `left = left + right`, "+=" is `left = right + left`, "max" is
    `max(left, right)`, "max>" is `max(right, left)`, "max<" is `right if left < right else left`."""
    if op in IN_PLACE:
        return IN_PLACE[op](left, right)
    if op in PICKS:
        return PICKS[op](left, right)
    if op.endswith(">"):
        return PICKS[op[:-1]](right, left)
    if op.endswith("<"):
        return right if (left < right if op == "max<" else left > right) else left
    if op.startswith("="):
        return _BINARY[op[1:]](left, right)
    return _BINARY[op[:-1]](right, left)


def folded(op: str, value: Any, raw: bytes) -> Any:
    """What `operate` makes of a value and floats, which are side by side, one after the other."""
    if raw and type(value) in (int, bool):
        value, raw = operate(op, value, unpack(raw[:8], "d")[0]), raw[8:]
    if type(value) is float and op in _OF_FLOATS:
        return _core.fold_floats(value, raw, "-" in op)
    for operand in unpack(raw, "d"):
        value = operate(op, value, operand)
    return value


MIRROR: Final = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
"""What `a > b` is as `b < a`."""

RUNNING: Final = "for its value at each step collect what it is made of in a list, and run itertools.accumulate over that after the loop"


@dataclass
class Form(ABC):
    """One reduction variable of one loop. guarded: some change stands in a `try` that would catch its failure. fixed: names
    in the changes, and what they are taken for. otherwise: what to write for what people want who read the variable in
    the loop, too. in_parts: numbers with a fraction are added up in each chunk first (--reassociate)."""

    name: str
    line: int
    guarded: bool = False
    fixed: dict[str, object] = field(default_factory=dict, kw_only=True)
    in_parts: bool = field(default=False, kw_only=True)
    what: ClassVar[str]
    otherwise: ClassVar[str] = (
        "for one value per key write {name}[k] += v, {name}[k] = max({name}.get(k, 0), v) or {name}.setdefault(k, []).append(v)"
    )
    role: ClassVar[str] = "reduction"  # or "output": each value stands for itself in the result

    @property
    @abstractmethod
    def packer(self) -> str:
        """Key of chunk.PACKERS."""

    @property
    def holders(self) -> tuple[str, ...]:
        """The variables whose objects it may change in place."""
        return (self.name,)

    @property
    def shown(self) -> str:
        """What the loop does to the variable, for people who ask."""
        return self.what

    def reassociate(self) -> None:
        """Lets the workers add up, where the form and those inside of it do."""
        self.in_parts = True

    @property
    def accumulator(self) -> str:
        """The expression that starts a chunk's record."""
        return "[]"

    @property
    def argument(self) -> Any:
        """Of the packer: text, or a tuple of it."""
        return ""

    def check(self, value: Any) -> None:
        """Raises Refusal when the variable's value, just before the loop, is not what the form can be merged into."""
        if self.guarded and type(value) not in NUMBERS:
            raise refusals.wrong_kind(self.line, self.name, value, "a number")

    def check_beside(self, name: str, value: Any) -> None:
        """The same for the other ones of `holders`."""
        raise AssertionError(name)

    def gathers(self, effect: Any) -> bool:
        """Whether gather() can make this effect of a chunk and its neighbour's one."""
        return False

    def gather(self, found: Any, effect: Any) -> Any:
        """The effects of two neighbouring chunks, which are used up, as one. It is called while workers still compute, so
        it runs no code of the user's."""
        raise NotImplementedError

    def inside(self, value: Any) -> Iterable[Any]:
        """The objects in the variable's value that the loop changes, too."""
        return ()

    def prepared(self, effects: Sequence[Any], namespace: Namespace) -> Commit:
        """What `prepare` gives; it raises nothing that the cell would have caught."""
        try:
            return self.prepare(effects, namespace)
        except refusals.Refusal:
            raise
        except Exception as error:
            if self.guarded:
                raise refusals.cannot_replay(self.line, self.name) from None
            error.add_note(
                f"(merging what the loop does with '{self.name}' in line {self.line}; %%parallel --serial shows the iteration)"
            )
            raise

    @abstractmethod
    def prepare(self, effects: Sequence[Any], namespace: Namespace) -> Commit: ...

    def current(self, namespace: Namespace, name: str = "") -> Any:
        """The value of the variable, or of another one."""
        name = name or self.name
        try:
            return namespace[name]
        except KeyError:
            raise NameError(f"name '{name}' is not defined", name=name) from None

    def is_unbound(self, namespace: Mapping[str, Any]) -> bool:
        """Whether the first iteration fails, for there is no such variable."""
        return self.name not in namespace

    def checked(self, namespace: Namespace) -> Any:
        """The variable's value, which can be merged into."""
        value = self.current(namespace)
        self.check(value)
        return value

    def binder(self, namespace: Namespace, value: Any) -> Commit:
        return lambda: namespace.__setitem__(self.name, value)


def nothing() -> None:
    pass


@dataclass
class Fold(Form):
    """`x += e` and its kind; `x = x + e`, `x = e + x`: operands recorded, replayed in order of iteration."""

    ops: list[str] = field(default_factory=list)
    unit: int = 0  # the one constant that all operands are, or 0
    what, otherwise = "an augmented assignment", RUNNING

    @property
    def packer(self) -> str:
        return "units" if self.unit else "fold in parts" if self.in_parts else "fold"

    @property
    def shown(self) -> str:
        return f"{self.what}, in parts" if self.in_parts else self.what

    @property
    def accumulator(self) -> str:
        return "0" if self.unit else "[]"

    @property
    def journal(self) -> bool:
        return len(set(self.ops)) > 1

    @property
    def argument(self) -> str:
        return "" if self.journal else self.ops[0].strip("=")

    def check(self, value: Any) -> None:
        if type(value) is not value.__class__ and any(op in IN_PLACE for op in self.ops):
            raise refusals.wrong_kind(self.line, self.name, value, "a plain object")
        super().check(value)

    def prepare(self, effects: Sequence[Any], namespace: Namespace) -> Commit:
        steps = [effect for effect in effects if effect[0] != "none"]
        if not steps:
            return nothing
        value = self.current(namespace)
        if type(value) in MUTABLE:
            self._run(steps, value.copy())
            return lambda: namespace.__setitem__(self.name, self._run(steps, value))
        return self.binder(namespace, self._run(steps, value))

    def _run(self, steps: Sequence[Any], value: Any) -> Any:
        for step in steps:
            value = self._step(step, value)
        return value

    def _step(self, step: Any, value: Any) -> Any:
        if self.journal:
            for op, operand in step[1]:
                self._guard(operand)
                value = operate(op, value, operand)
            return value
        op = self.ops[0]
        match step:
            case ("units", total):
                if type(value) in (int, bool):
                    return operate(op, value, total)
                operands = repeat(self.unit, total // self.unit)
            case ("ints" | "bools" as kind, total, _, raw):
                if type(value) in (int, bool):
                    return operate(op, value, total)
                operands = unpack(raw, CODES[kind])
            case ("floats", raw):
                return folded(op, value, raw)
            case _:
                operands = step[1]
                kinds = set(map(type, operands))
                if op in ("+", "=+") and kinds == {str} and type(value) is str:
                    return value + "".join(operands)
                if op in ("+", "=+") and kinds == {tuple} and type(value) is tuple:
                    return value + tuple(chain.from_iterable(operands))
                if op == "+" and kinds == {list} and type(value) is list:
                    value.extend(chain.from_iterable(operands))
                    return value
                if self.guarded and kinds - NUMBERS:
                    raise refusals.cannot_replay(self.line, self.name)
        if op in IN_PLACE:
            function = IN_PLACE[op]
            for operand in operands:
                value = function(value, operand)
        else:
            for operand in operands:
                value = operate(op, value, operand)
        return value

    def _guard(self, operand: Any) -> None:
        if self.guarded and type(operand) not in NUMBERS:
            raise refusals.cannot_replay(self.line, self.name)


@dataclass
class Extreme(Form):
    """`x = max(x, e)`, `x = min(e, x)`; spec: "max", "min", with ">" when the variable comes last."""

    spec: str = "max"
    packer = "extreme"
    what, otherwise = "a minimum or maximum", RUNNING

    @property
    def argument(self) -> str:
        return self.spec

    def prepare(self, effects: Sequence[Any], namespace: Namespace) -> Commit:
        values = list(chain.from_iterable(effects))
        if not values:
            return nothing
        value = self.current(namespace)
        kinds = {type(value), *map(type, values)}
        if self.guarded and kinds - NUMBERS | kinds & {complex} and kinds not in ({str}, {bytes}):
            raise refusals.cannot_replay(self.line, self.name)  # the cell would have caught what comparing them raises
        for operand in values:
            value = operate(self.spec, value, operand)
        return self.binder(namespace, value)


@dataclass
class Best(Form):
    """`if e > best: best, who = e, p`, `if f(r) > f(best): best = r`, also with `best is None or`. names: all that it binds,
    the best first; op: the comparison, with "~" where the best is written on its left; absent: what says that there is none
    yet, see `is_absent`, asked: of which of the names; measure: f, see `places.measured`; vouched: whether the workers see to
    it that what is bound stays as good as it was; computed: a name that is bound to what may fail to be computed."""

    op: str = ">"
    absent: str = ""
    asked: str = ""
    names: tuple[str, ...] = ()
    measure: str = ""
    vouched: bool = False
    computed: str = ""
    packer = "champion"
    what, otherwise = "the best so far", RUNNING

    @property
    def holders(self) -> tuple[str, ...]:
        return ()

    def check(self, value: Any) -> None:
        """Anything can be the best: what cannot be compared fails when it is merged, and is refused where that is caught."""

    @property
    def accumulator(self) -> str:
        if self.vouched:
            return f"__firn_contest__.VouchedChampion({self.sign!r}, {measuring(self.measure)})"
        return f"__firn_contest__.Champion({self.sign!r})"

    @property
    def sign(self) -> str:
        return self.op.rstrip("~")

    def is_unbound(self, namespace: Mapping[str, Any]) -> bool:
        return (self.asked or self.name) not in namespace

    @property
    def unasked(self) -> bool:
        """Whether nobody asks for the measure of the first one."""
        return bool(self.measure and self.absent)

    def prepare(self, effects: Sequence[Any], namespace: Namespace) -> Commit:
        if not any(first is not None or entries for first, entries, _ in effects):
            return nothing
        none_yet = bool(self.absent) and is_absent(self.current(namespace, self.asked), self.absent)
        best = None if none_yet else self.current(namespace)
        score_of = measured(self.measure) if self.measure else None
        chosen: tuple[Any, ...] | None = None
        for first, entries, dropped in effects:
            if first is not None and isinstance(first[-1], Failed):
                raise refusals.not_computed(self.line, self.computed, first[-1].kind)
            if first is not None:
                assert score_of is not None
                entries = [(None if none_yet else score_of(first[0]), *first), *entries]
            for score, *values in entries:
                if not none_yet:
                    before = best if score_of is None else score_of(best)
                    if not self._beats(score, before):
                        if dropped and not _in_order(score, before):
                            raise refusals.another_order(self.line, self.name, before)
                        continue
                if isinstance(values[-1], Failed):
                    raise refusals.not_computed(self.line, self.computed, values[-1].kind)
                chosen, best = tuple(values), values[0]
                none_yet = self.absent == "None" and self.asked == self.name and best is None
        if chosen is None:
            return nothing
        found = dict(zip(self.names, chosen, strict=True))
        if self.absent and not none_yet and is_absent(found[self.asked], self.absent):
            # Anything that follows would be the best, and so on: only what is better than all is so in any order.
            raise refusals.none_again(self.line, self.asked, found[self.asked])
        return lambda: namespace.update(found)

    def _beats(self, score: Any, before: Any) -> bool:
        written = BEATS[MIRROR[self.sign]](before, score) if "~" in self.op else BEATS[self.sign](score, before)
        return bool(written)


def _in_order(score: Any, before: Any) -> bool:
    """Whether what the score beats is surely beaten by what it does not beat."""
    if type(score) is tuple and type(before) is tuple:
        # At the first place where they differ all is decided, also about what the score beats.
        decides = next((pair for pair in zip(score, before, strict=False) if not _equal(*pair)), (0, 0))
        return _in_order(*decides)
    kind = type(before)
    if alike(order_of(score), order_of(before)) or kind.__module__ in _NUMERIC:
        return True
    return getattr(kind, "__gt__", None) in (int.__gt__, float.__gt__, str.__gt__)


def _equal(first: Any, second: Any) -> bool:
    return alike(order_of(first), order_of(second)) and bool(first == second)


_NUMERIC: Final = ("fractions", "decimal", "_decimal", "numpy")
