"""Freezing instances of classes: what is looked at, what is run, what is refused, on one thread and on several."""

import collections
import dataclasses
import gc
import socket
import sys
import types
import typing
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import firn
import pytest
from firn import _core

THREADS = pytest.mark.parametrize("threads", [1, 4])
MANY = 20_000  # enough to be shared out


class Plain:
    def __init__(self, *values: object) -> None:
        for i, value in enumerate(values):
            setattr(self, f"f{i}", value)


class Slotted:
    __slots__ = ("__private", "a")

    def __init__(self, a: object) -> None:
        self.a = a


class SlottedToo(Slotted):
    __slots__ = ("__dict__", "b")


@dataclasses.dataclass
class Data:
    x: object = 1


@dataclasses.dataclass(frozen=True, slots=True)
class FrozenData:
    x: object = 1


class Row(typing.NamedTuple):
    a: object
    b: object = 2


class Items(list):
    pass


class Table(dict):
    pass


class Members(set):
    pass


class Few(frozenset):
    pass


class Tally(collections.Counter):
    pass


class Box[T]:
    def __init__(self, inner: T) -> None:
        self.inner = inner


class Shape(ABC):
    @abstractmethod
    def area(self) -> float: ...


class Square(Shape):
    side = 1.0

    def area(self) -> float:
        return self.side


class Meta(type):
    def __call__(cls, *arguments: object) -> Any:
        return super().__call__(*arguments)


class WithMeta(metaclass=Meta):
    pass


class Called:
    def __call__(self) -> int:
        return 1


def freeze(value: object, threads: int = 0) -> _core.FreezeResult:
    return _core.freeze_roots({"value": value}, threads=threads)


def classes(result: _core.FreezeResult) -> set[type]:
    return {definition for _, definition in _core.definitions_of([result.segment])}


def with_attribute(value: Any) -> Any:
    value.extra = [1]
    return value


INSTANCES: list[Callable[[], object]] = [
    Plain,
    lambda: Plain(1, [2]),
    lambda: Slotted(1),
    lambda: with_attribute(SlottedToo([1])),
    Data,
    FrozenData,
    lambda: Row(1),
    lambda: with_attribute(Items([1, 2])),
    lambda: with_attribute(Table(a=1)),
    lambda: with_attribute(Members({1})),
    lambda: Few({1, 2}),
    lambda: Tally("abca"),
    lambda: Box([1]),
    Square,
    WithMeta,
    Called,
]


@THREADS
@pytest.mark.parametrize("make", INSTANCES)
def test_instances_are_frozen_with_their_class(make: Callable[[], object], threads: int) -> None:
    one = make()
    result = freeze([one], threads)
    assert classes(result) == {type(one)}
    many = freeze([make() for _ in range(MANY)], threads)
    assert classes(many) == {type(one)}
    # Each is a copy of its own; what they hold grows with their number.
    assert many.objects >= MANY + 1 and many.objects - 1 >= (result.objects - 1) * MANY * 0.3


def test_the_fields_are_counted() -> None:
    # The list, the record, its list, and two integers that no interpreter shares.
    assert freeze([Plain(100_000, [200_000])]).objects == 5
    assert freeze([Slotted([100_000])]).objects == 4


def test_an_instance_is_shared_as_often_as_it_stands_there() -> None:
    one = Plain([100_000])
    assert freeze([one] * 10).objects == freeze([one]).objects
    ring = Plain()
    ring.me = [ring]
    assert freeze(ring).objects == 2
    assert freeze([ring, ring.me]).objects == 3


class Hostile:
    """Everything that Python code could be asked for raises."""

    def __init__(self) -> None:
        object.__setattr__(self, "x", 100_000)

    def boom(self, *_: object) -> Any:
        raise AssertionError("code of the class was run")

    __class__ = property(boom)  # type: ignore[assignment]
    __dict__ = property(boom)  # type: ignore[assignment]
    __hash__ = __eq__ = __getattr__ = __setattr__ = __delattr__ = boom  # type: ignore[assignment]
    __len__ = __iter__ = __bool__ = __repr__ = __dir__ = __sizeof__ = __getitem__ = boom  # type: ignore[assignment]


@THREADS
def test_no_code_of_the_class_is_run(threads: int) -> None:
    assert classes(freeze([Hostile() for _ in range(MANY)], threads)) == {Hostile}
    one = Hostile()
    assert freeze([one, (one, 1), {"k": one}, {1: (one,)}], threads).objects > 5


def test_a_slot_whose_descriptor_is_hidden_is_frozen_all_the_same() -> None:
    one = Slotted([100_000])
    before = freeze([one]).objects
    descriptor = Slotted.a
    Slotted.a = property(lambda self: 1 / 0)  # type: ignore[assignment,method-assign]
    try:
        assert freeze([one]).objects == before
    finally:
        Slotted.a = descriptor  # type: ignore[method-assign]


class Ready:
    calls: typing.ClassVar[list[object]] = []

    def __init__(self, inner: object = None) -> None:
        self.inner = inner

    def __pre_freeze__(self) -> None:
        Ready.calls.append(self)
        self.done = [100_000]


@THREADS
def test_pre_freeze_is_called_once_an_object_before_it_is_read(threads: int) -> None:
    Ready.calls.clear()
    nested = Ready(Ready())
    result = freeze([nested, nested, nested.inner], threads)
    assert [id(one) for one in Ready.calls] == [id(nested), id(nested.inner)]
    # The list; two records with a list and a number each.
    assert result.objects == 1 + 2 * 3
    Ready.calls.clear()
    many = [Ready() for _ in range(MANY)]
    assert freeze(many, threads).objects == 1 + MANY * 3
    assert len(Ready.calls) == MANY
    Ready.calls.clear()


@THREADS
def test_what_pre_freeze_raises_comes_out_as_it_is(threads: int) -> None:
    class Failing:
        def __pre_freeze__(self) -> None:
            raise KeyError("not now")

    before = _core.count_segments()
    for value in ([Failing()], [*(Plain(i) for i in range(MANY)), Failing()]):
        with pytest.raises(KeyError, match="not now"):
            freeze(value, threads)
    assert _core.count_segments() == before


def test_pre_freeze_may_drop_what_was_copied_already() -> None:
    # Its memory is used again at once for strings that are frozen after it.
    rows: list[Any] = [["".join(["some ", "text ", str(i)])] * 2 for i in range(1000)]

    class Dropping:
        def __pre_freeze__(self) -> None:
            for row in rows[:1000]:
                row.clear()
            gc.collect()
            self.after = [["".join(["other ", "text ", str(i)])] * 2 for i in range(1000)]

    rows.append(Dropping())
    frozen = _core.freeze_roots({"rows": rows}).frozen["rows"]
    assert [row[0] for row in frozen[:1000]] == [f"some text {i}" for i in range(1000)]
    assert len(rows[-1].after) == 1000


@THREADS
def test_opted_out(threads: int) -> None:
    @firn.unfreezable
    class Secret:
        pass

    class Child(Secret):
        pass

    @firn.freezable
    class Allowed(Child):
        pass

    for value in (Secret(), Child()):
        with pytest.raises(firn.NotFreezableError, match=r"unfreezable") as caught:
            freeze([Plain(), {"k": value}], threads)
        assert caught.value.path == "value[1]['k']"
    assert classes(freeze([Allowed()], threads)) == {Allowed}
    one = Secret()
    firn.set_freezable(one, True)
    assert classes(freeze([one], threads)) == {Secret}
    other = Plain()
    firn.set_freezable(other, False)
    with pytest.raises(firn.NotFreezableError, match=r"set_freezable"):
        freeze([Plain(), other], threads)


class Deep:
    def __init__(self, depth: int, last: object) -> None:
        self.next = Deep(depth - 1, last) if depth else last


SOCKETS: list[tuple[Callable[[Any], object], str]] = [
    (lambda bad: Plain(1, bad), "value.f1"),
    (lambda bad: Plain([0, {"k": Slotted(bad)}]), "value.f0[1]['k'].a"),
    (lambda bad: with_attribute(SlottedToo(bad)), "value.a"),
    (lambda bad: Row(1, [bad]), "value[1][0]"),
    (lambda bad: Items([1, bad]), "value[1]"),
    (lambda bad: Table(a={"b": bad}), "value['a']['b']"),
    (lambda bad: Ready([bad]), "value.inner[0]"),
    (lambda bad: [Ready(Ready(bad))], "value[0].inner.inner"),
    (lambda bad: [Plain(i) for i in range(MANY)] + [Plain(bad)], f"value[{MANY}].f0"),
    (lambda bad: {i: Data(i if i < MANY else bad) for i in range(MANY + 1)}, f"value[{MANY}].x"),
    (lambda bad: [Ready(i) for i in range(MANY)] + [Ready(bad)], f"value[{MANY}].inner"),
    (lambda bad: Deep(2, bad), "value.next.next.next"),
]


@THREADS
@pytest.mark.parametrize(("make", "path"), SOCKETS)
def test_a_refusal_names_the_fields_that_lead_to_it(make: Callable[[Any], object], path: str, threads: int) -> None:
    with socket.socket() as bad:
        value = make(bad)
        before = _core.count_segments()
        for _ in range(2):  # the second attempt tells the same
            with pytest.raises(firn.NotFreezableError) as caught:
                freeze(value, threads)
            assert (caught.value.path, caught.value.type_name) == (path, "socket.socket")
        assert _core.count_segments() == before


@THREADS
def test_classes_of_every_kind_meet_in_one_list(threads: int) -> None:
    # The classes are not known when the list is shared out, and come one after the other.
    def make(i: int) -> object:
        return INSTANCES[i * len(INSTANCES) // MANY]()

    values = [make(i) for i in range(MANY)]
    assert classes(freeze(values, threads)) == {type(value) for value in values}


@THREADS
def test_instances_of_redefined_classes_keep_theirs(threads: int) -> None:
    def make(x: int) -> object:
        class Point:
            pass

        point = Point()
        point.x = x  # type: ignore[attr-defined]
        return point

    old, new = make(1), make(2)
    assert classes(freeze([old, new] * MANY, threads)) == {type(old), type(new)}


@pytest.mark.parametrize("fields", [0, 1, 29, 30, 31, 300, 3000])
def test_any_number_of_fields(fields: int) -> None:
    one = Plain(*range(100_000, 100_000 + fields))
    result = freeze(one)
    # With very many, the dict is an object of its own, with its keys.
    assert result.objects == (1 + fields if fields <= 1024 else 2 + 2 * fields)


def test_instances_that_all_differ_do_not_make_a_layout_each() -> None:
    def make(i: int) -> Plain:
        one = Plain()
        setattr(one, f"field_{i}", 100_000)
        setattr(one, f"also_{i}", 200_000)
        return one

    class Namespace(Plain):
        pass

    values = [types.new_class("Own", (Plain,))() for _ in range(3)]
    namespaces = []
    for i in range(3000):
        one = Namespace()
        one.__dict__ = {f"field_{i}": 100_000, f"also_{i}": 200_000}
        namespaces.append(one)
    few, many = freeze(namespaces[:10]), freeze(namespaces)
    # A dict and its keys come on top, for those beyond the layouts that a class gets.
    assert many.objects > few.objects * 300
    assert len(classes(freeze([*values, *map(make, range(50))]))) == 4


def test_a_dict_whose_keys_are_not_all_strings() -> None:
    one = Plain()
    one.__dict__[100_000] = "some text"  # type: ignore[index]
    assert freeze(one).objects == 4  # record, dict, key, text


def test_counts_of_references_and_memory_are_as_before() -> None:
    values = [Ready(Plain(i, [i])) for i in range(100)]
    gc.collect()
    before = [sys.getrefcount(value) for value in values], [sys.getrefcount(value.inner) for value in values]
    freeze(values)
    with socket.socket() as bad, pytest.raises(firn.NotFreezableError):
        freeze([values, bad])
    after = [sys.getrefcount(value) for value in values], [sys.getrefcount(value.inner) for value in values]
    Ready.calls.clear()
    # One more for the list of calls.
    assert [count - 2 for count in after[0]] <= before[0] and after[1] == before[1]
    gone = weakref.ref(values[0])
    values.clear()
    gc.collect()
    assert gone() is None


@THREADS
def test_a_dict_keyed_by_instances_is_found_by_them(readers: Any, threads: int) -> None:
    keys = [Plain(i) for i in range(50)]
    frozen = freeze([keys, {key: i for i, key in enumerate(keys)}, set(keys), {(key, 1): 5 for key in keys}], threads)
    readers.run(
        """
        keys, mapping, members, pairs = frozen
        assert len(mapping) == len(members) == len(pairs) == 50
        for key, (pair, five) in zip(mapping, pairs.items()):
            assert five == 5 and pairs[pair] == 5 and hash(pair) == hash(tuple(pair))
        """,
        frozen.frozen["value"],
    )


def test_no_memory_in_the_middle(run_python: Any) -> None:
    done = run_python(
        """
        import resource
        import firn
        class Point:
            def __init__(self, i): self.x, self.y = float(i), [i]
        points = [Point(i) for i in range(600_000)]
        firn.freeze(points[:10])
        used = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) << 10
        resource.setrlimit(resource.RLIMIT_DATA, (used + (40 << 20), resource.RLIM_INFINITY))
        for _ in range(2):
            try:
                firn.freeze(points)
            except MemoryError:
                pass
            else:
                raise AssertionError("there was memory")
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        firn.freeze(points)
        print("fine")
        """
    )
    assert done.stdout.strip() == "fine", done.stderr


@pytest.mark.long
@THREADS
def test_ten_million_nodes(threads: int) -> None:
    root: Any = None
    for i in range(3_400_000):
        root = Plain(root, [i])
    result = freeze(root, threads)
    assert result.objects >= 10_000_000
    while root is not None:  # not by recursion
        root = root.f0
