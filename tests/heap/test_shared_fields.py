"""Shared fields and interpreter-local fields (PEP 795), from several interpreters at once."""

from __future__ import annotations

import copy
import datetime
import gc
import math
import os
import pickle
import threading
from collections.abc import Callable
from typing import Any

import firn
import pytest
from firn import _core
from firn.shared import Local, SharedField

PLAIN = [
    None, True, False, ..., 0, 1, -1, 2**31, -(2**63), 2**100, 0.5, -0.0, math.inf, 1j, "", "a", "é€\ud800", "x" * 5000,
    b"", b"abc", b"y" * 5000, (), (1, "a", (2.5, None)), ("z" * 2000, 1), 10**3000,
    datetime.date(2026, 1, 2), (datetime.timedelta(1), frozenset({1, 2})),
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:20])
def test_what_cannot_change_is_held_as_it_is(value: object) -> None:
    field = firn.shared_field(value)
    assert (field.get(), type(field.get())) == (value, type(value))
    field.set(None)
    assert field.swap(value) is None
    assert field.get() == value and type(field.get()) is type(value)
    assert field.compare_and_swap(value, "next") or not isinstance(value, (str, bytes, int, float, type(None)))


def test_frozen_values_are_held_by_reference() -> None:
    rows = firn.freeze([{"a": 1}, {"b": [2]}])
    field = firn.shared_field([1])
    assert field.get() == [1] and firn.is_frozen(field.get())
    field.set(rows)
    assert field.get() is rows
    assert field.swap(rows[1]["b"]) is rows
    assert not field.compare_and_swap([2], rows)  # equal is not the same
    assert field.compare_and_swap(rows[1]["b"], rows)


@pytest.mark.parametrize("value", [[], {}, set(), bytearray(), ([],), (1, ("a", {})), object()])
def test_what_can_change_is_refused(value: object) -> None:
    field = firn.shared_field(1)
    for store in (field.set, field.swap, lambda value: field.compare_and_swap(1, value)):
        with pytest.raises(TypeError, match=r"firn\.freeze\(value\)"):
            store(value)
    assert field.get() == 1


def test_an_initial_value_that_cannot_be_frozen() -> None:
    with open(os.devnull) as file, pytest.raises(firn.NotFreezableError):
        firn.shared_field([file])


def test_comparing_is_by_value_and_type() -> None:
    field = firn.shared_field(1)
    assert not field.compare_and_swap(True, 2)
    assert not field.compare_and_swap(1.0, 2)
    assert field.compare_and_swap(1, 0.0)
    assert not field.compare_and_swap(-0.0, 3)
    field.set(math.nan)
    assert field.compare_and_swap(math.nan, "x" * 3000)
    assert field.compare_and_swap("".join(["x"] * 3000), 2)
    assert not field.compare_and_swap("x" * 3000, 3)


def test_a_field_is_frozen_itself() -> None:
    field = firn.shared_field(3)
    assert firn.is_frozen(field) and repr(field) == "shared_field(3)"
    with pytest.raises(TypeError, match="frozen"):
        field.value = 4  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="frozen"):
        del field._field
    for other in (copy.copy(field), copy.deepcopy(field), pickle.loads(pickle.dumps(field))):
        assert other == field and hash(other) == hash(field)
        other.set(other.get() + 1)
    assert field.get() == 6
    assert field != firn.shared_field(6)


def test_a_field_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError):
        _core.shared_get(0)
    with pytest.raises(ValueError):
        _core.shared_swap(1 << 60, 1)


def test_many_values_take_no_room_in_the_heap() -> None:
    field = firn.shared_field(0)
    before = _core.count_segments()
    for number in range(1000):
        field.set((number, str(number)))
    assert _core.count_segments() == before


def test_all_interpreters_count_at_once(readers: Any) -> None:
    field = firn.shared_field(0)
    readers.run(
        """
        for _ in range(5000):
            while not field.compare_and_swap(count := field.get(), count + 1):
                pass
        """,
        firn.freeze([0]),
        field=field,
    )
    assert field.get() == 15000


def test_threads_and_interpreters_swap_without_losing_anything(readers: Any) -> None:
    """Every value that anybody puts in is taken out exactly once: strings of all lengths, also long ones."""
    field = firn.shared_field(("start", ""))
    taken = [firn.shared_field(()) for _ in range(4)]

    def swap(rank: int) -> None:
        mine = tuple(field.swap((f"{rank}/{step}", "x" * (step * 7 % 3000)))[0] for step in range(300))
        taken[rank].set(mine)

    thread = threading.Thread(target=swap, args=(3,))
    thread.start()
    readers.run(
        """
        import threading
        import _interpreters
        rank = ranks.get(_interpreters.get_current()[0], 0)
        mine = tuple(field.swap((f"{rank}/{step}", "x" * (step * 7 % 3000)))[0] for step in range(300))
        taken[rank].set(mine)
        """,
        firn.freeze([0]),
        field=field,
        taken=taken,
        ranks={interpreter.id: rank for rank, interpreter in enumerate(readers.interpreters, 1)},
    )
    thread.join()
    seen = [name for part in taken for name in part.get()] + [field.get()[0]]
    assert sorted(seen) == sorted([f"{rank}/{step}" for rank in range(4) for step in range(300)] + ["start"])


def test_frozen_values_cross(readers: Any) -> None:
    field = firn.shared_field(firn.freeze([{"a": [1]}]))
    readers.run(
        """
        import firn
        assert field.get()[0]["a"] == [1]
        while True:
            rows = field.get()
            if field.compare_and_swap(rows, firn.freeze([*firn.thaw(rows), {"b": []}])):
                break
        """,
        firn.freeze([0]),
        field=field,
    )
    gc.collect()
    assert field.get() == [{"a": [1]}, {"b": []}, {"b": []}, {"b": []}]


def test_fork_finds_no_lock_taken(run_python: Callable[..., Any]) -> None:
    done = run_python(
        """
        import os, threading, warnings, firn
        warnings.simplefilter("ignore")
        field = firn.shared_field(0)
        stop = False
        def work():
            while not stop:
                field.set(field.get() + 1)
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads: thread.start()
        for _ in range(30):
            child = os.fork()
            if not child:
                field.set("child")
                os._exit(field.get() != "child")
            assert os.waitpid(child, 0)[1] == 0
        stop = True
        for thread in threads: thread.join()
        assert field.get() != "child"
        """
    )
    assert done.returncode == 0, done.stderr


def test_local_values(readers: Any) -> None:
    plain = firn.local((1, 2))
    made = firn.local(dict)
    assert plain.get() == (1, 2) and firn.is_frozen(made)
    made.get()["here"] = True
    readers_see = """
        made.get()["mine"] = True
        assert set(made.get()) <= {"mine", "here"}
        plain.set([len(plain.get())])
        plain.get().append(3)
        assert plain.get() == [2, 3]
    """
    readers.run(readers_see, firn.freeze([0]), made=made, plain=plain)
    assert made.get() == {"here": True, "mine": True}
    with pytest.raises(TypeError):
        made.value = 1  # type: ignore[attr-defined]
    assert isinstance(made, Local) and not isinstance(made, SharedField)
    assert pickle.loads(pickle.dumps(made)) == made != plain


def test_a_mutable_initial_value_is_frozen() -> None:
    field = firn.local([1])
    assert firn.is_frozen(field.get())
    field.set([2])
    field.get().append(3)
    assert field.get() == [2, 3] and repr(field) == "local([2, 3])"
