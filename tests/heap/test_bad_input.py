"""Values that lie, raise, change or cannot be frozen: nothing is half frozen, and the second attempt says the same."""

from __future__ import annotations

import ctypes
import gc
import io
import operator
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import types
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from functools import partial
from subprocess import Popen
from typing import Any

import firn
import pytest
from firn import _core
from graph_kinds import Bag, Data, Derived, Line, Pair, Plain, Rows, Slots, Square, Table


def generator() -> Any:
    yield 1


async def coroutine() -> int:
    return 1


async def asynchronous() -> Any:
    yield 1


def never_awaited() -> Any:
    made = coroutine()
    made.close()
    return made


def traceback() -> Any:
    try:
        raise ValueError
    except ValueError as error:
        return error.__traceback__


class Target:
    pass


TARGET = Target()

REFUSED: dict[str, Callable[[], Any]] = {
    "socket": lambda: socket.socket(),
    "file": lambda: open(os.devnull),  # noqa: SIM115
    "binary file": lambda: open(os.devnull, "rb"),  # noqa: SIM115
    "temporary file": lambda: tempfile.TemporaryFile(),  # noqa: SIM115
    "lock": threading.Lock,
    "rlock": threading.RLock,
    "condition": threading.Condition,
    "thread": lambda: threading.Thread(target=print),
    "local": threading.local,
    "generator": generator,
    "coroutine": never_awaited,
    "asynchronous generator": asynchronous,
    "module": lambda: sys,
    "weak reference": lambda: weakref.ref(TARGET),
    "weak dict": lambda: weakref.WeakValueDictionary({1: TARGET}),
    "database": lambda: sqlite3.connect(":memory:"),
    "frame": sys._getframe,
    "traceback": traceback,
    "process": lambda: subprocess.Popen([sys.executable, "-c", ""]),
}

# Where it stands, and how the path goes on behind the variable's name.
PLACES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "itself": (lambda x: x, ""),
    "list": (lambda x: [0, [1, x]], "[1][1]"),
    "dict": (lambda x: {"a": {"b": x}}, "['a']['b']"),
    "tuple": (lambda x: (0, (x,)), "[1][0]"),
    "deque": (lambda x: deque([x]), "[0]"),
    "ordered": (lambda x: OrderedDict(a=x), "['a']"),
    "plain": (lambda x: [Plain(held=Derived(deep=[x]))], "[0].held.deep[0]"),
    "slots": (lambda x: {"k": Slots(1, Slots(x, 2))}, "['k'].right.left"),
    "dataclass": (lambda x: Data("n", Data("m", [x])), ".value.value[0]"),
    "named tuple": (lambda x: Pair(1, Pair(x)), None),
    "list of its own": (lambda x: [Rows([1, x])], "[0][1]"),
    "dict of its own": (lambda x: Table(a=x), "['a']"),
    "own container": (lambda x: Bag(1, x), ".members[1]"),
}  # type: ignore[dict-item]


def close(value: Any) -> None:
    if isinstance(value, subprocess.Popen):
        value.wait()
    if hasattr(value, "close"):
        value.close()


def state() -> int:
    """How much was ever frozen: what others froze may be given back meanwhile."""
    return _core.count_segments()


def refusal(root: Any) -> firn.NotFreezableError:
    """Freezes it twice, as a variable among others: both times the same error, and nothing is frozen."""
    texts = []
    good = [1, "two", {"three": [4]}]
    before = state()
    for _ in range(2):
        with pytest.raises(firn.NotFreezableError) as caught:
            _core.freeze_roots({"good": good, "rows": root, "more": [good]})
        texts.append(str(caught.value))
        assert state() == before
        assert not _core.is_frozen(good) and not _core.is_frozen(good[2])
    assert texts[0] == texts[1]
    assert caught.value.root == "rows"
    return caught.value


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_frozen_is_named_with_its_whole_path(kind: str) -> None:
    for wrap, behind in PLACES.values():
        value = REFUSED[kind]()
        root = wrap(value)
        error = refusal(root)
        close(value)
        if behind is not None:
            assert error.path.startswith(f"rows{behind}"), (error.path, behind)
        assert eval(error.path, {"rows": root, "list": list}) is not None
        assert error.path in str(error) and error.type_name in str(error)


def test_a_refusal_leaves_originals_as_they_were() -> None:
    value = threading.Lock()
    inner = Data("n", [1, 2])
    root = [inner, Plain(x=inner), {inner.name: value}, Slots(inner, [inner])]
    counts = [sys.getrefcount(inner), sys.getrefcount(value), sys.getrefcount(root[2])]
    refusal(root)
    gc.collect()
    assert [sys.getrefcount(inner), sys.getrefcount(value), sys.getrefcount(root[2])] == counts
    inner.value.append(3)
    root[1].x = None  # type: ignore[attr-defined]
    assert inner.value == [1, 2, 3] and root[0] is inner


# --- classes with code that must not run --------------------------------------------------------


CALLS: list[str] = []


def counting(name: str, answer: Any = None) -> Callable[..., Any]:
    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        CALLS.append(name)
        if answer is None:
            raise RuntimeError(name)
        return answer

    method.__name__ = name
    return method


SPECIAL = """
__eq__ __ne__ __lt__ __hash__ __repr__ __str__ __format__ __bytes__ __bool__ __len__ __iter__ __next__ __contains__
__getitem__ __setitem__ __delitem__ __getattr__ __setattr__ __delattr__ __call__ __enter__ __exit__ __del__ __sizeof__
__add__ __index__ __int__ __float__ __copy__ __deepcopy__ __dir__ __length_hint__ __reversed__ __missing__ __get__
__set_name__ __init__ __class_getitem__ __await__ __fspath__ __array__ __setstate__
"""


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        if WATCHING:
            CALLS.append(f"metaclass {name}")
        return super().__getattribute__(name)

    def __instancecheck__(cls, value: object) -> bool:
        CALLS.append("__instancecheck__")
        return False

    def __subclasscheck__(cls, other: type) -> bool:
        CALLS.append("__subclasscheck__")
        return False

    def __eq__(cls, other: object) -> bool:
        CALLS.append("metaclass __eq__")
        return False

    def __hash__(cls) -> int:
        CALLS.append("metaclass __hash__")
        return 1


WATCHING = False


def make_loud(base: type, name: str) -> type:
    # Attributes that are found must be read without the class too.
    body: dict[str, Any] = {
        special: counting(special) for special in SPECIAL.split() if special not in ("__del__", "__init__")
    }
    body["__module__"] = __name__
    body["__qualname__"] = name
    body["value"] = property(counting("property"))
    return Meta(name, (base,), body)


LoudObject = make_loud(object, "LoudObject")
LoudList = make_loud(list, "LoudList")
LoudDict = make_loud(dict, "LoudDict")
LoudTuple = make_loud(tuple, "LoudTuple")
LoudSet = make_loud(set, "LoudSet")


def loud(kind: type, content: Any = None) -> Any:
    made = kind.__base__.__new__(kind) if content is None else kind.__base__.__new__(kind, content)  # type: ignore[misc]
    if content is not None and kind is not LoudTuple:
        kind.__base__.__init__(made, content)  # type: ignore[misc]
    object.__setattr__(made, "field", [1, 2])
    return made


def loud_values() -> list[Any]:
    return [
        loud(LoudObject),
        loud(LoudList, [1, [2]]),
        loud(LoudDict, {"a": [1]}),
        loud(LoudTuple, (1, [2])),
        loud(LoudSet, {1, "x"}),
    ]


def test_freezing_runs_no_code_of_the_class() -> None:
    global WATCHING
    values = loud_values()
    rows = [values, {"all": values}, tuple(values), Plain(x=values[0])]
    CALLS.clear()
    WATCHING = True
    try:
        frozen = _core.freeze(rows)
        assert CALLS == []
        _core.is_frozen(frozen[0][0])
        _core.freeze(frozen)
        assert CALLS == []
        with pytest.raises(firn.NotFreezableError):
            _core.freeze([rows, threading.Lock()])
        assert CALLS == []
    finally:
        WATCHING = False


def test_thawing_runs_no_code_of_the_class_either() -> None:
    frozen = _core.freeze(loud_values())
    CALLS.clear()
    thawed = firn.thaw(frozen)
    assert CALLS == []
    assert [object.__getattribute__(value, "field") for value in thawed] == [[1, 2]] * 5
    assert list.__getitem__(thawed[1], 1) == [2] and dict.__getitem__(thawed[2], "a") == [1]


class Lies:
    """Says that it is a list."""

    def __init__(self) -> None:
        self.field = [1]

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        CALLS.append("__class__")
        return list


def test_a_class_that_is_overridden_is_not_believed() -> None:
    CALLS.clear()
    frozen = _core.freeze([Lies()])
    assert CALLS == []
    assert frozen[0].field == [1]
    thawed = firn.thaw(frozen)[0]
    assert type(thawed) is Lies and thawed.field == [1]


class RaisesWhenCompared:
    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError(f"compared {self.number}")

    def __hash__(self) -> int:
        return 7


def test_members_that_raise_when_compared_freeze_and_raise_as_the_originals_do() -> None:
    one = RaisesWhenCompared(1)
    frozen = _core.freeze({"list": [one, 1], "dict": {one: 1}, "set": {one}})
    assert next(iter(frozen["dict"])).number == 1 and next(iter(frozen["set"])).number == 1
    for read in (
        lambda x: 2 in x["list"],
        lambda x: x["list"] == [0, 1],
        lambda x: x["dict"][RaisesWhenCompared(2)],
        lambda x: RaisesWhenCompared(2) in x["set"],
        lambda x: x["list"].index(1),
    ):
        with pytest.raises(ZeroDivisionError):
            read(frozen)


class ChangesItsHash:
    count = 0

    def __hash__(self) -> int:
        type(self).count += 1
        return type(self).count

    def __eq__(self, other: object) -> bool:
        return self is other


def test_hashes_that_change_do_not_matter_to_freezing() -> None:
    keys = [ChangesItsHash() for _ in range(20)]
    value = {"dict": {key: i for i, key in enumerate(keys)}, "set": set(keys)}
    frozen = _core.freeze(value)
    assert list(frozen["dict"].values()) == list(range(20)) and len(frozen["set"]) == 20
    thawed = firn.thaw(frozen)
    assert list(thawed["dict"].values()) == list(range(20)) and len(thawed["set"]) == 20


# --- twins that do not work ---------------------------------------------------------------------


class Raises:
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise LookupError("no state today")


class Recurses:
    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__reduce_ex__(protocol)


class Nested:
    """Each one's state holds another new one."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (Nested, (), {"next": Nested()})


class Nonsense:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.answer


class HoldsLock:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __reduce__(self) -> Any:
        return (HoldsLock, (self.lock,))


@pytest.mark.parametrize(
    "make",
    [
        Raises,
        Recurses,
        HoldsLock,
        *(
            lambda answer=answer: Nonsense(answer)
            for answer in (None, 5, (), (1,), (int,), (int, 5), "nonsense", [], b"")
        ),
    ],
)
def test_a_reduction_that_fails_is_a_refusal(make: Callable[[], Any]) -> None:
    for wrap in (lambda x: [0, {"k": x}], lambda x: [0, {"k": x}, Plain(a=x)]):
        error = refusal(wrap(make()))
        assert error.path.startswith("rows[1]['k']"), error.path


class Interrupted:
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise KeyboardInterrupt


def test_an_interrupt_while_freezing_is_one() -> None:
    before = state()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            _core.freeze_roots({"rows": [1, [Interrupted()]]})
        assert state() == before
    assert _core.freeze([1, [2]]) == [1, [2]]


SET_INTERRUPT = ctypes.pythonapi.PyErr_SetInterrupt
SET_INTERRUPT.restype = None


def freeze_interrupted(rows: list[Any], threads: int) -> Any:
    """What freeze_roots() returns when an interrupt waits from its beginning; Python runs nothing in between."""
    return [*map(operator.call, [SET_INTERRUPT, partial(_core.freeze_roots, {"rows": rows}, threads=threads)])][1]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("make", [lambda n: [n, [n]], str], ids=["nested", "flat"])
def test_an_interrupt_ends_a_freeze(make: Callable[[int], Any], threads: int) -> None:
    rows = [[make(n) for n in range(50_000)]]
    before = state()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            freeze_interrupted(rows, threads)
        assert state() == before
    frozen = _core.freeze_roots({"rows": rows}, threads=threads).frozen["rows"]
    assert frozen == rows and frozen[0][-1] == make(49_999)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_handler_may_let_a_freeze_go_on(threads: int) -> None:
    rows = [[[n] for n in range(50_000)]]
    heard: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        found = freeze_interrupted(rows, threads)
    finally:
        signal.signal(signal.SIGINT, usual)
    assert found.frozen["rows"] == rows
    assert heard == [signal.SIGINT]


def test_an_interrupt_in_the_middle_of_a_freeze_leaves_nothing_behind() -> None:
    rows = [{"n": n, "s": str(n), "more": [n, [n]]} for n in range(300_000)]
    for pause in range(200):  # until one comes in the middle
        before = _core.count_segments()
        try:
            with Popen(["sh", "-c", f"sleep {pause % 20 / 100}; kill -INT {os.getpid()}"]) as press:
                _core.freeze_roots({"rows": rows})
                press.wait()
                time.sleep(60)  # it is on its way
        except KeyboardInterrupt:
            pass
        if _core.count_segments() == before:
            break
    else:
        pytest.fail("no interrupt ended a freeze")
    assert rows[-1] == {"n": 299_999, "s": "299999", "more": [299_999, [299_999]]}
    frozen = _core.freeze_roots({"rows": rows}).frozen["rows"]
    assert frozen == rows


class FreezesItself:
    """Its reduction freezes what holds it."""

    def __init__(self) -> None:
        self.holder: list[Any] = []

    def __reduce_ex__(self, protocol: Any) -> Any:
        self.holder.append("more")
        return (Plain, ())


def test_a_reduction_may_change_what_is_being_frozen() -> None:
    value = FreezesItself()
    value.holder += [value, *range(100)]
    rows = [value.holder, {"held": value.holder}]
    before = len(value.holder)
    frozen = _core.freeze(rows)
    assert len(value.holder) > before
    assert frozen[0] is frozen[1]["held"]
    assert list(frozen[0])[1:before] == list(range(before - 1))[:0] + list(range(100))


class ReplacesAttributes:
    def __init__(self) -> None:
        self.victims: list[Plain] = []

    def __reduce_ex__(self, protocol: Any) -> Any:
        for victim in self.victims:
            victim.__dict__ = {"new": [1]}
        self.victims.clear()
        gc.collect()
        return (Plain, ())


def test_attributes_replaced_by_a_reduction_meanwhile() -> None:
    changer = ReplacesAttributes()
    victims = [Plain(old=[object.__new__(Target)]) for _ in range(50)]
    changer.victims += victims
    for frozen in (_core.freeze([changer, *victims]), _core.freeze([*victims, changer])):
        assert all(vars(thing).keys() in ({"old"}, {"new"}) for thing in frozen[1:49])


# --- while others change what is frozen ---------------------------------------------------------


def test_attributes_replaced_by_another_thread_meanwhile() -> None:
    """Each object is frozen as it was at one moment, whatever another thread makes of its `__dict__`."""
    things = [Plain(a=i, b=i) for i in range(2000)]
    stop = threading.Event()

    def replace() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            for thing in things[:: 1 + number % 7]:
                thing.__dict__ = {"a": number, "b": number, "c": [number]} if number % 2 else {"b": number, "a": number}

    thread = threading.Thread(target=replace)
    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread.start()
    try:
        for _ in range(30):
            for thing in _core.freeze(things):
                assert thing.a == thing.b and getattr(thing, "c", [thing.a]) == [thing.a]
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(old)


# --- no memory ----------------------------------------------------------------------------------


OUT_OF_MEMORY = """
import resource, sys
sys.path.insert(0, {folder!r})
import firn
from firn import _core
from graph_kinds import Data, Key, Plain, Slots

kinds = [lambda i: Data(str(i), [i]), lambda i: Plain(a=i, b=str(i)), lambda i: Slots(i, (i, str(i))),
         lambda i: {{"id": i, "name": "n" * (i % 50), "set": {{i, "x"}}}}, lambda i: {{(i, str(i)): i}}]
rows = [kinds[i % len(kinds)](i) for i in range(200_000)]
_core.freeze(rows[:10])
before = _core.segments()

def used(name):
    fields = dict(line.split(":") for line in open("/proc/self/status") if line.startswith("Vm"))
    return int(fields[name].split()[0]) << 10

failed = 0
limits = ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData"))
for limit, name in limits:
    # Memory for the local data of a new thread, or libc ends the process; its stack takes 8 MB.
    for megabytes in (0, 2, 4, 8, 16, 24) if {threads} == 1 else (12, 14, 20, 22, 28, 30, 34, 36):
        for attempt in range(2):
            resource.setrlimit(limit, (used(name) + (megabytes << 20), -1))
            try:
                result = _core.freeze_roots({{"rows": rows}}, threads={threads})
            except MemoryError:
                failed += 1
            else:
                before.append(_core.segments()[-1])
                del result
            finally:
                resource.setrlimit(limit, (-1, -1))
            assert _core.segments() == before
assert failed >= 4, failed
frozen = _core.freeze(rows)
assert frozen[59_995].name == "59995" and frozen[199_998]["id"] == 199_998
print("whole", failed)
"""


@pytest.mark.unsanitized
@pytest.mark.parametrize("threads", [1, 4])
def test_out_of_memory_in_the_middle(run_python: Callable[..., Any], threads: int) -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    done = run_python(OUT_OF_MEMORY.format(folder=folder, threads=threads))
    assert done.stdout.startswith("whole"), done.stdout + done.stderr[-3000:]


# --- size ---------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.unsanitized
def test_ten_million_nodes() -> None:
    rows = [[i, (i,), {"k": i}] for i in range(2_500_000)]
    result = _core.freeze_roots({"rows": rows})
    frozen = result.frozen["rows"]
    assert result.objects >= 10_000_000
    assert len(frozen) == 2_500_000 and all(frozen[i] == rows[i] for i in range(0, 2_500_000, 9_973))


def test_ten_thousand_levels_through_all_kinds() -> None:
    value: Any = None
    wraps: list[Callable[[Any], Any]] = [
        lambda x: [x],
        lambda x: {"k": x},
        lambda x: (x,),
        lambda x: Plain(k=x),
        lambda x: Slots(x, 1),
        lambda x: Data("n", x),
        lambda x: Pair(x),
        lambda x: Rows([x]),
        lambda x: Table(k=x),
        lambda x: deque([x]),
        lambda x: defaultdict(None, k=x),
    ]
    for level in range(10_000):
        value = wraps[level % len(wraps)](value)
    frozen = _core.freeze([value])
    thawed = firn.thaw(frozen)
    for at in (frozen[0], thawed[0]):
        levels = 0
        while at is not None:
            levels += 1
            if isinstance(at, dict):
                at = at["k"]
            elif isinstance(at, list | tuple | deque):
                at = at[0]
            elif isinstance(at, Plain):
                at = at.k  # type: ignore[attr-defined]
            elif isinstance(at, Slots):
                at = at.left
            else:
                at = at.value
        assert levels == 10_000


def test_cycles_through_all_kinds() -> None:
    plain, rows, table, line = Plain(), Rows([1]), Table(), Line((1, []))
    data, slots = Data("n", None), Slots(None, None)
    plain.rows = rows  # type: ignore[attr-defined]
    rows.append(table)
    rows.plain = plain  # type: ignore[attr-defined]
    table["line"] = line
    table.slots = slots  # type: ignore[attr-defined]
    line.data = data  # type: ignore[attr-defined]
    line[1].append(line)
    data.value = {"slots": slots, "self": data}
    slots.left, slots.right = plain, slots
    frozen = _core.freeze([plain])
    for p in (frozen[0], firn.thaw(frozen)[0]):
        assert p.rows.plain is p
        assert p.rows[1]["line"][1][0] is p.rows[1]["line"]
        assert p.rows[1].slots.left is p and p.rows[1].slots.right is p.rows[1].slots
        assert p.rows[1]["line"].data.value["self"] is p.rows[1]["line"].data
        assert p.rows[1]["line"].data.value["slots"] is p.rows[1].slots


def test_refusing_leaves_no_memory_behind(run_python: Callable[..., Any]) -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    done = run_python(
        f"""
        import gc, sys, threading
        sys.path.insert(0, {folder!r})
        import firn
        from graph_kinds import Data, Plain, Slots, Square
        rows = [Data(str(i), [Plain(x=i), Slots(i, {{i: Square(i)}})]) for i in range(20_000)]
        rows.append(threading.Lock())
        sizes = []
        for _ in range(25):
            try:
                firn.freeze(rows)
            except firn.NotFreezableError:
                pass
            gc.collect()
            sizes.append(int(open("/proc/self/statm").read().split()[1]) * 4096)
        assert sizes[-1] - sizes[4] < 20_000_000, sizes
        """
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_what_is_refused_is_let_go() -> None:
    """No reference to an original remains, neither after a refusal nor after freezing."""
    thing = Square(2)
    watched = weakref.ref(thing)
    refusal([thing, io.StringIO().__init__, threading.Lock()])
    _core.freeze([thing, {"k": thing}])
    del thing
    gc.collect()
    assert watched() is None
    assert isinstance(types.SimpleNamespace, type)
