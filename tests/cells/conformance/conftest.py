"""Ways to run a cell: serially, split in this process (chunk by chunk in fresh namespaces), and in firn's pool."""

import ast
import contextlib
import copy
import io
import re
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import length_hint
from typing import Any

import firn
import pytest
from firn.analysis import CellPlan, Refusal, analyze
from firn.analysis.chunk import define
from firn.items import as_items, slice_items
from firn.jobs import Done, Gathering
from firn.session import SESSION
from IPython.core.interactiveshell import InteractiveShell

FILENAME = "<cell>"
COUNTS = pytest.StashKey[Counter[str]]()


@dataclass
class Outcome:
    """What a cell left behind."""

    namespace: dict
    printed: str = ""
    error: BaseException | None = None
    before: str = ""  # the namespace as the last split loop found it, in canonical form
    unbound: str = ""  # the same without the variables that the loop binds
    plan: CellPlan | None = None
    splits: int = 0


def fresh(setup: str) -> dict:
    namespace: dict = {"__name__": "__main__", "__builtins__": __builtins__}
    exec(compile(setup, "<setup>", "exec"), namespace)
    return namespace


def execute(tree: ast.Module, namespace: dict) -> None:
    """Runs a cell as a notebook does: the value of its last expression becomes `_`."""
    tree = ast.Module(list(tree.body), [])
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, FILENAME, "exec", dont_inherit=True), namespace)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), FILENAME, "eval", dont_inherit=True), namespace)
        if value is not None:
            namespace["_"] = value


def serial(setup: str, code: str) -> Outcome:
    outcome = Outcome(fresh(setup))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            execute(ast.parse(code), outcome.namespace)
        except BaseException as error:
            outcome.error = error
    outcome.printed = printed.getvalue()
    return outcome


class InProcess:
    """Runs the chunk code of a plan in fresh namespaces, `size` iterations a chunk (0: all), and merges; `gathers`:
    neighbours become one as they come, as they do while workers run."""

    def __init__(self, size: int, gathers: bool = False) -> None:
        self.size, self.gathers = size, gathers

    def __call__(self, setup: str, code: str) -> Outcome:
        outcome = Outcome(fresh(setup))
        tree = ast.parse(code)
        plan = analyze(tree, source=code, filename=FILENAME, namespace=outcome.namespace)
        outcome.plan = plan
        driver = _Driver(plan, outcome, self.size, self.gathers)
        outcome.namespace["__firn__"] = driver
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            try:
                execute(plan.module, outcome.namespace)
            except BaseException as error:
                outcome.error = error
        outcome.printed = printed.getvalue()
        del outcome.namespace["__firn__"]
        return outcome


class _Driver:
    def __init__(self, plan: CellPlan, outcome: Outcome, size: int, gathers: bool) -> None:
        self.plan, self.outcome, self.size, self.gathers = plan, outcome, size, gathers

    def split(self, number: int, iterable: object) -> object:
        loop = self.plan.loops[number]
        namespace = self.outcome.namespace
        self.outcome.before = canonical(namespace)
        self.outcome.unbound = canonical({name: v for name, v in namespace.items() if name not in loop.bound})
        self.outcome.splits += 1
        loop.check(namespace, iterable)
        read = as_items(iterable, namespace=namespace)  # type: ignore[arg-type]
        items = list(slice_items(read.shared, 0, len(read)))
        size = self.size or max(1, len(items))
        code = loop.code_for(namespace)
        chunks = Gathering(loop.gathered if self.gathers else None)
        decided = False
        for start in range(0, len(items), size):
            worker = worker_namespace(namespace, loop.bound | loop.changed)
            source = iter(items[start : start + size])
            try:
                made = define(code, worker)(source, start)
            except BaseException:
                if read.taken is not None:
                    read.taken.leave(min(start + size, len(items)) - length_hint(source), namespace)
                raise
            effects = transfer(made, [namespace, items])
            decided = loop.decided(effects)
            chunks.add(Done(start, start + size, 0, 0.0, 0.0, 0.0, effects=effects))
            if decided:
                break
        if read.error is not None and not decided:
            raise read.error
        if read.taken is not None:
            read.taken.use_up()
        return loop.finish([done.effects for done in chunks.before(len(items) + 1)], namespace)


def worker_namespace(namespace: dict, hidden: frozenset) -> dict:
    """A namespace of its own, in which the notebook's functions read their globals; without what the loop changes."""
    worker = {name: value for name, value in namespace.items() if name not in hidden}
    for name, value in worker.items():
        if isinstance(value, types.FunctionType) and value.__globals__ is namespace:
            twin = types.FunctionType(value.__code__, worker, value.__name__, value.__defaults__, value.__closure__)
            twin.__kwdefaults__ = value.__kwdefaults__
            worker[name] = twin
    return worker


def transfer(effects: object, shared: list) -> object:
    """A copy, as effects cross to the notebook: what is shared stays the same object, aliases are kept."""
    memo: dict = {}
    todo = list(shared)
    while todo:
        item = todo.pop()
        if id(item) in memo:
            continue
        memo[id(item)] = item
        if isinstance(item, dict):
            todo += [*item.keys(), *item.values()]
        elif isinstance(item, (list, tuple, set, frozenset, deque)):
            todo += item
        elif hasattr(item, "__dict__") and not isinstance(item, (type, types.ModuleType)):
            todo += vars(item).values()
    return copy.deepcopy(effects, memo)


def canonical(namespace: dict) -> str:
    """Everything that can be told about a namespace: values, exact types, order, and which objects are the same."""
    seen: dict[int, int] = {}
    keep: list = []

    def show(value: object) -> str:
        kind = value.__class__  # of a frozen value: that of the original
        name = kind.__name__
        if value is None or kind in (int, float, complex, str, bytes, bool, range):
            return f"{name}:{value!r}"
        if kind is tuple:
            return f"{name}({', '.join(map(show, value))})"  # type: ignore[call-overload]
        if kind is frozenset:
            return f"{name}({', '.join(sorted(map(show, value)))})"  # type: ignore[call-overload]
        if id(value) in seen:
            return f"#{seen[id(value)]}"
        seen[id(value)] = len(seen)
        keep.append(value)
        if kind in (list, deque):
            return f"#{seen[id(value)]}={name}[{', '.join(map(show, value))}]"  # type: ignore[call-overload]
        if kind is set:
            # A copy of a set may have another order; cells that care about it bind list(s).
            return f"#{seen[id(value)]}={name}[{', '.join(sorted(map(show, value)))}]"  # type: ignore[call-overload]
        if kind in (dict, Counter, OrderedDict, defaultdict):
            inner = ", ".join(f"{show(k)}: {show(v)}" for k, v in value.items())  # type: ignore[attr-defined]
            return f"#{seen[id(value)]}={name}{{{inner}}}"
        if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type)):
            return f"{name} {value.__name__}"
        if isinstance(value, BaseException):
            return f"{name}{value.args!r}"
        if hasattr(value, "__dict__"):
            return f"#{seen[id(value)]}={name}<{show(dict(vars(value)))}>"
        return f"{name}"

    names = sorted(name for name in namespace if not name.startswith("__"))
    return "\n".join(f"{name} = {show(namespace[name])}" for name in names)


class InPool:
    """Runs a cell as a user does: `%%parallel` in IPython, in so many workers, with so many iterations a chunk (0: firn
    decides)."""

    def __init__(self, shell: InteractiveShell, workers: int, chunk: int) -> None:
        self.shell, self.workers, self.chunk = shell, workers, chunk

    def __call__(self, setup: str, code: str) -> Outcome:
        shell = self.shell
        hidden = {*shell.user_ns_hidden, "__firn__", "firn", "__name__"}
        for name in [name for name in shell.user_ns if name not in hidden]:
            del shell.user_ns[name]
        shell.run_cell(setup).raise_error()
        options = f"--quiet --compare off --workers {self.workers}" + (f" --chunk {self.chunk}" if self.chunk else "")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            result = shell.run_cell(f"%%parallel {options}\n{code}")
        namespace = {name: value for name, value in shell.user_ns.items() if name not in hidden and name[:1] != "_"}
        if result.result is not None:
            namespace["_"] = result.result
        error = result.error_before_exec or result.error_in_exec
        text = re.sub(r"\x1b\[[0-9;]*m", "", printed.getvalue())
        text = re.sub(r"(Out\[\d+\]: |-{75}\n).*", "", text, flags=re.DOTALL)
        if type(error).__name__ == "Refused":
            assert isinstance(error, Exception)
            error = Refusal(getattr(error, "line", 1) - 1, "", str(error), str(error))
        return Outcome(namespace, text, error)


CHUNKINGS = {
    "one by one": (1, False),
    "one by one, gathered": (1, True),
    "by twos": (2, False),
    "by threes": (3, False),
    "all at once": (0, False),
}
POOLS = {"1 worker": (1, 0), "2 workers, one by one": (2, 1), "5 workers, one by one": (5, 1)}


@pytest.fixture(scope="module")
def pool_shell(shell: InteractiveShell) -> Iterator[InteractiveShell]:
    shell.extension_manager.load_extension("firn")
    shell.reset(new_session=False)
    before = SESSION.workers
    SESSION.resize(5)
    yield shell
    SESSION.resize(before)
    firn.load_ipython_extension(shell)


@pytest.fixture
def run_cell(request: pytest.FixtureRequest) -> Callable[[str, str], Outcome]:
    if request.param in CHUNKINGS:
        return InProcess(*CHUNKINGS[request.param])
    return InPool(request.getfixturevalue("pool_shell"), *POOLS[request.param])


@pytest.fixture(scope="session")
def run_serial() -> Callable[[str, str], Outcome]:
    return serial


@pytest.fixture(scope="session")
def in_process() -> type[InProcess]:
    return InProcess


@pytest.fixture
def conforming(request: pytest.FixtureRequest) -> Counter[str]:
    """How often cells ran in each way, for the summary."""
    counts: Counter[str] = request.config.stash.setdefault(COUNTS, Counter())
    return counts


@pytest.fixture(scope="session")
def show() -> Callable[[dict], str]:
    return canonical


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    counts = config.stash.get(COUNTS, Counter())
    if counts:
        terminalreporter.section("conformance: cells run serially and in parallel, everything compared")
        for what, count in counts.items():
            terminalreporter.line(f"{count:6,} {what}")
