"""The numbers of classes and functions: the same in all interpreters, each with an object of its own."""

import concurrent.interpreters as interpreters
import fractions
import sys
from collections.abc import Iterator

import firn
import pytest
from firn import _core


class Point:
    def __init__(self, x: object) -> None:
        self.x = x


def test_a_class_keeps_its_number() -> None:
    class Other:
        pass

    assert _core.number_of(Point) == _core.number_of(Point) > 0
    assert _core.number_of(Other) != _core.number_of(Point)
    assert _core.replica(_core.number_of(Other)) is Other


def test_a_class_defined_again_is_another_one() -> None:
    def make() -> type:
        class Same:
            pass

        return Same

    one, two = make(), make()
    assert _core.number_of(one) != _core.number_of(two)
    assert _core.replica(_core.number_of(one)) is one


@pytest.fixture
def other() -> Iterator[interpreters.Interpreter]:
    interpreter = interpreters.create()
    interpreter.prepare_main(path=tuple(sys.path))
    interpreter.exec("import sys; sys.path[:] = path; from firn import _core")
    yield interpreter
    interpreter.close()


def test_what_can_be_imported_has_one_number_everywhere(other: interpreters.Interpreter) -> None:
    other.prepare_main(fraction=_core.number_of(fractions.Fraction), add=_core.number_of(fractions.Fraction.__add__))
    other.exec(
        "import fractions\n"
        "assert _core.number_of(fractions.Fraction) == fraction\n"
        "assert _core.number_of(fractions.Fraction.__sub__) != add\n"
    )


def test_another_interpreter_says_what_a_number_is_there(other: interpreters.Interpreter) -> None:
    other.prepare_main(number=_core.number_of(Point))
    other.exec(
        "class Point: pass\n"
        "_core.define(number, Point)\n"
        "assert _core.replica(number) is Point and _core.number_of(Point) == number\n"
        "class Newer: pass\n"
        "_core.define(number, Newer)\n"
        "assert _core.replica(number) is Newer and _core.number_of(Point) != number\n"
    )
    assert _core.replica(_core.number_of(Point)) is Point


@pytest.mark.parametrize("number", [0, 1_000_000])
def test_an_unknown_number_cannot_be_defined(number: int) -> None:
    with pytest.raises(ValueError, match=f"no definition with the number {number}"):
        _core.define(number, Point)


def test_segments_know_the_classes_of_what_is_in_them() -> None:
    class First:
        pass

    class Second:
        __slots__ = ("inner",)

    first, second = First(), Second()
    second.inner = [First()]
    one = _core.freeze_roots({"one": [first]})
    assert _core.definitions_of([one.segment]) == [(_core.number_of(First), First)]
    both = _core.freeze_roots({"both": {"k": second}})
    assert {definition for _, definition in _core.definitions_of([both.segment])} == {First, Second}
    none = _core.freeze_roots({"none": [[1]]})
    assert _core.definitions_of([none.segment]) == []


def test_segments_know_the_classes_of_what_they_refer_to() -> None:
    class Inner:
        pass

    inner = _core.freeze_roots({"inner": [Inner()]})
    outer = _core.freeze_roots({"outer": {"k": [inner.frozen["inner"]]}})
    outermost = _core.freeze_roots({"outermost": [outer.frozen["outer"]["k"]]})
    assert _core.definitions_of([outermost.segment]) == [(_core.number_of(Inner), Inner)]


def test_a_class_stays_as_long_as_the_interpreter() -> None:
    class Gone:
        pass

    frozen = firn.freeze([Gone()])
    number = _core.number_of(Gone)
    name = Gone.__qualname__
    del Gone
    assert _core.replica(number).__qualname__ == name
    assert firn.is_frozen(frozen)
