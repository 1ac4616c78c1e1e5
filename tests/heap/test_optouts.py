"""Who may be frozen: the decorators, functions and hooks of PEP 795."""

from __future__ import annotations

import gc
from typing import Any, ClassVar

import firn
import pytest
from firn import _core, optouts


class Open:
    def __init__(self, value: object = 0) -> None:
        self.value = value


@firn.unfreezable
class Closed(Open):
    pass


class StillClosed(Closed):
    pass


@firn.freezable
class OpenAgain(StillClosed):
    pass


def refused(value: object) -> firn.NotFreezableError:
    """The error, after a second attempt that tells the same."""
    with pytest.raises(firn.NotFreezableError) as first:
        firn.freeze(value)
    with pytest.raises(firn.NotFreezableError) as second:
        firn.freeze(value)
    assert str(first.value) == str(second.value)
    return first.value


@pytest.mark.parametrize("cls", [Closed, StillClosed])
def test_a_class_opts_out_for_its_subclasses(cls: Any) -> None:
    error = refused({"a": [Open(), cls()]})
    assert error.path == "obj['a'][1]" and error.type_name.endswith(cls.__name__) and "unfreezable" in str(error)


def test_a_subclass_opts_in_again() -> None:
    assert firn.freeze(OpenAgain(3)).value == 3
    assert firn.freeze([Open(OpenAgain([1]))])[0].value.value == [1]


def test_many_instances_on_all_threads() -> None:
    values: list[Any] = [Open(number) for number in range(20_000)]
    assert firn.is_frozen(firn.freeze(values))
    values[13_000] = Closed()
    assert refused(values).path == "obj[13000]"
    values[13_000] = marked = Open()
    firn.set_freezable(marked, False)
    assert refused(values).path == "obj[13000]"


@pytest.mark.parametrize("value", [[1], {"a": 1}, {1}, (1, []), Open(), OpenAgain(), "text" * 50])
def test_single_objects_opt_out(value: Any) -> None:
    other = firn.freeze([value])
    firn.set_freezable(value, False)
    error = refused({"k": (1, value)})
    assert error.path == "obj['k'][1]" and "set_freezable" in str(error)
    firn.set_freezable(value, True)
    assert firn.is_frozen(firn.freeze([value])) and firn.is_frozen(other)


def test_an_objects_word_beats_its_classs() -> None:
    allowed, forbidden = Closed([1]), OpenAgain()
    firn.set_freezable(allowed, True)
    firn.set_freezable(forbidden, False)
    assert firn.freeze([allowed])[0].value == [1]
    assert refused([allowed, forbidden]).path == "obj[1]"


def test_a_mark_goes_with_its_object() -> None:
    gc.collect()
    before = len(optouts._marked)
    for _ in range(1000):
        firn.set_freezable(Open(), False)
    assert len(optouts._marked) == before
    assert firn.is_frozen(firn.freeze([Open(number) for number in range(3000)]))


def test_what_cannot_be_marked() -> None:
    with pytest.raises(TypeError, match="frozen already"):
        firn.set_freezable(firn.freeze([1]), False)
    with pytest.raises(TypeError, match="derive a class"):
        firn.set_freezable(list, False)


def test_set_freezable_of_a_class() -> None:
    class Later:
        pass

    one = Later()
    assert firn.is_frozen(firn.freeze(one))
    firn.set_freezable(Later, False)
    refused(one)
    firn.set_freezable(Later, True)
    assert firn.is_frozen(firn.freeze(one))


def test_decorators_return_what_they_decorate() -> None:
    def function() -> None: ...

    assert firn.freezable(function) is firn.unfreezable(function) is function
    assert optouts.word_of(function) is False and optouts.word_of(test_decorators_return_what_they_decorate) is None
    assert firn.freezable(Open) is Open
    del Open.__firn_freezable__  # type: ignore[attr-defined]


class Cache:
    """Prepares itself: what it can compute again does not cross."""

    calls: ClassVar[list[Cache]] = []

    def __init__(self) -> None:
        self.data, self.memory = [1], {"big": [0] * 10}

    def __pre_freeze__(self) -> None:
        assert not firn.is_frozen(self)
        Cache.calls.append(self)
        self.memory.clear()
        self.prepared = True


def test_the_hook_runs_once_before_its_object_is_frozen() -> None:
    Cache.calls.clear()
    cache = Cache()
    frozen = firn.freeze([cache, {"again": cache}])
    assert Cache.calls == [cache] and cache.prepared
    assert frozen[0].memory == {} and frozen[0].prepared and frozen[1]["again"] is frozen[0]


def test_the_hooks_of_many_objects_run_each_once() -> None:
    Cache.calls.clear()
    caches = [Cache() for _ in range(500)]
    frozen = firn.freeze({"deep": [[cache] for cache in caches], "flat": caches})
    assert {id(cache) for cache in Cache.calls} == {id(cache) for cache in caches} and len(Cache.calls) == 500
    assert all(one.prepared for one in frozen["flat"])


def test_a_hook_that_fails_stops_the_freeze() -> None:
    class Bad:
        def __pre_freeze__(self) -> None:
            raise ValueError("not now")

    before = _core.count_segments()
    for _ in range(2):
        with pytest.raises(ValueError, match="not now"):
            firn.freeze([[1], Bad()])
    assert _core.count_segments() == before


def test_a_hook_may_change_what_is_being_frozen() -> None:
    class Grows:
        def __init__(self, where: list[object]) -> None:
            self.where = where

        def __pre_freeze__(self) -> None:
            self.where.append("grown")
            self.own = ["new"]

    where: list[object] = []
    frozen = firn.freeze(Grows(where))
    assert frozen.own == ["new"] and frozen.where == ["grown"]
