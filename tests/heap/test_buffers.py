"""Arrays and other buffers in frozen data: one copy of the memory, read by every interpreter where it lies."""

import array
import mmap
import pickle

import firn
import numpy as np
import pytest
from firn import _core

VALUES = {
    "C order": np.arange(12.0).reshape(3, 4),
    "Fortran order": np.asfortranarray(np.arange(12).reshape(3, 4)),
    "strided": np.arange(20)[::3],
    "reversed": np.arange(5)[::-1],
    "repeated": np.broadcast_to(np.arange(3), (4, 3)),
    "no axes": np.array(2.5),
    "no elements": np.zeros((0, 3)),
    "big-endian": np.arange(5, dtype=">i4"),
    "times": np.array(["2020-01-02", "NaT", "1969-12-31"], "M8[D]"),
    "durations": np.array([1, -5, 7], "m8[ms]"),
    "text": np.array([["a", "bcd"], ["é", ""]]),
    "bytes": np.array([b"a", b"bc"]),
    "half": np.array([1, 2.5], "f2"),
    "long": np.array([1, 2.5], "longdouble"),
    "complex": np.array([1 + 2j, 3]),
    "truth": np.array([True, False]),
    "structured": np.array([(1, 2.5, "x", [1, 2])], [("i", "i4"), ("f", ">f8"), ("s", "U3"), ("n", "i2", 2)]),
    "aligned": np.array([(1, 2.5)], np.dtype([("i", "i1"), ("f", "f8")], align=True)),
}


@pytest.mark.parametrize("kind", VALUES)
def test_arrays_are_read_only_arrays_here(kind):
    original = VALUES[kind]
    frozen = firn.freeze(original)
    assert type(frozen) is np.ndarray and not frozen.flags.writeable
    assert frozen.dtype == original.dtype and frozen.shape == original.shape
    np.testing.assert_array_equal(frozen, original)
    assert firn.is_frozen(frozen) and not firn.is_frozen(original)
    assert firn.freeze(frozen) is frozen and _core.freeze([frozen])[0] is frozen
    with pytest.raises(ValueError, match="read-only"):
        frozen[...] = original
    thawed = firn.thaw(frozen)
    assert type(thawed) is np.ndarray and thawed.flags.writeable and not np.shares_memory(thawed, frozen)
    assert thawed.dtype == original.dtype
    np.testing.assert_array_equal(thawed, original)
    if original.size:
        assert original.flags.writeable or kind == "repeated"


@pytest.mark.parametrize("kind", [kind for kind in VALUES if kind != "long"])
def test_workers_read_the_same_memory(kind, readers):
    original = VALUES[kind]
    frozen = _core.freeze([original])
    readers.run(
        """
        import sys
        from firn import _core
        array = frozen[0]
        assert 'numpy' in sys.modules or array.tolist() == wanted and tuple(array.shape) == shape and array.dtype.name == name, array
        assert array.tobytes() == raw
        assert array.__array_interface__["data"][0] == address and frozen[0] is array
        assert _core.is_frozen(array) and _core.address(_core.freeze([array])) != 0
        """,
        frozen,
        wanted=[(1, 2.5, "x", [1, 2])] if kind == "structured" else original.tolist(),
        shape=original.shape,
        name=original.dtype.name,
        raw=original.tobytes(),
        address=frozen[0].__array_interface__["data"][0],
    )


def test_workers_calculate_and_their_results_are_arrays(readers):
    frozen = _core.freeze({"a": np.arange(12.0).reshape(3, 4)})
    readers.run(
        """
        a = frozen["a"]
        assert (a * 2 + 1)[1:, ::2].sum() == 60 and (a.T @ a).shape == (4, 4)
        assert memoryview(a).readonly and memoryview(a)[1, 2] == 6.0
        try:
            a[0] = 1
        except (TypeError, ValueError) as error:
            pass
        else:
            raise AssertionError
        try:
            a += 1
        except (TypeError, ValueError) as error:
            pass
        else:
            raise AssertionError
        """,
        frozen,
    )


def test_memory_is_aligned_and_shared_between_views():
    base = np.arange(1000.0)
    frozen = firn.freeze({"base": base, "even": base[::2], "turned": base[::-1], "again": base})
    assert frozen["base"] is frozen["again"]
    assert frozen["base"].__array_interface__["data"][0] % 64 == 0
    for name in ("even", "turned"):
        assert np.shares_memory(frozen["base"], frozen[name])
        np.testing.assert_array_equal(frozen[name], {"even": base[::2], "turned": base[::-1]}[name])
    data = bytearray(b"0123456789")
    frozen = firn.freeze([memoryview(data), memoryview(data)[2:5], data])
    assert [bytes(one) for one in frozen] == [b"0123456789", b"234", b"0123456789"]
    addresses = [np.frombuffer(one, "u1").__array_interface__["data"][0] for one in frozen]
    assert addresses == [addresses[0], addresses[0] + 2, addresses[0]]


def test_a_part_of_a_large_array_is_not_the_whole():
    table = np.arange(1_000_000.0).reshape(1000, 1000)
    result = _core.freeze_roots({"column": table[:, 3]})
    assert result.bytes < 100_000
    np.testing.assert_array_equal(result.frozen["column"], table[:, 3])


def test_what_reads_frozen_memory_freezes_without_a_copy():
    frozen = firn.freeze(np.arange(100_000.0))
    result = _core.freeze_roots({"part": frozen[10:], "whole": frozen})
    assert result.bytes < 1000 and result.frozen["whole"] is frozen
    assert np.shares_memory(result.frozen["part"], frozen)
    assert firn.is_frozen(frozen[10:]) and firn.is_frozen(frozen.reshape(100, -1)) and not firn.is_frozen(frozen + 1)
    assert firn.thaw(frozen[10:]).flags.writeable
    assert _core.segments_of([frozen[10:]]) == _core.segments_of([frozen]) != []


def test_what_was_frozen_does_not_change_with_the_original():
    original, view = np.arange(5), bytearray(b"abc")
    frozen = firn.freeze([original, view])
    original[:] = 7
    view[:] = b"xyz!"
    assert frozen[0].tolist() == [0, 1, 2, 3, 4] and frozen[1] == b"abc"
    thawed = firn.thaw(frozen)
    thawed[0][0], thawed[1][0] = 9, 120
    assert frozen[0][0] == 0 and frozen[1][0] == 97


def test_objects_in_arrays(readers):
    shared = [1]
    original = np.array([shared, "text", None, 2.5, shared], object)
    frozen = firn.freeze([original, shared])
    assert type(frozen[0]) is np.ndarray and frozen[0].dtype == object and not frozen[0].flags.writeable
    assert frozen[0].tolist() == original.tolist() and frozen[0][0] is frozen[0][4] is frozen[1]
    thawed = firn.thaw(frozen)[0]
    assert thawed.tolist() == original.tolist() and type(thawed[0]) is list and thawed[0] is thawed[4]
    readers.run("assert frozen[0].tolist() == [[1], 'text', None, 2.5, [1]] and frozen[0][0] is frozen[1]", frozen)
    with pytest.raises(firn.NotFreezableError, match=r"cannot freeze"):
        firn.freeze([np.array([1, open("/dev/null")], object)])  # noqa: SIM115


SCALARS = [
    np.float64(2.5),
    np.int8(-3),
    np.bool_(True),
    np.complex64(1 + 2j),
    np.datetime64("2020-01-01"),
    np.str_("x"),
]


@pytest.mark.parametrize("scalar", SCALARS)
def test_numpys_numbers_are_pythons_own_in_workers(scalar, readers):
    frozen = firn.freeze([scalar, 1])
    assert type(frozen[0]) is type(scalar) and frozen[0] == scalar
    code = "import sys; assert frozen[0] == wanted and ('numpy' in sys.modules or type(frozen[0]) is type(wanted))"
    readers.run(code, frozen, wanted=scalar.item())


def test_bytearrays_read_as_bytearrays(readers):
    code = """
    import re
    x, plain = frozen[0], bytearray(b"hello world")
    assert isinstance(x, bytearray) and x == plain and plain == x and x == b"hello world" and b"hello world" == x
    assert len(x) == 11 and x[1] == 101 and x[-1] == 100 and type(x[1:3]) is bytearray and x[1:3] == b"el"
    assert x[::-2] == plain[::-2] and list(x) == list(plain) and 104 in x and b"wor" in x and b"z" not in x
    assert repr(x) == repr(plain) and str(x) == str(plain) and x.hex() == plain.hex() and bytes(x) == bytes(plain)
    assert x.find(b"o") == 4 and x.count(b"l") == 3 and x.split() == plain.split() and x.upper() == b"HELLO WORLD"
    assert x + b"!" == b"hello world!" and b"!" + x == b"!hello world" and x * 2 == plain * 2 and x.decode() == "hello world"
    assert x < b"z" and x >= b"a" and x.startswith(b"he") and re.search(b"w.r", x).start() == 6
    assert bytes(memoryview(x)) == plain and memoryview(x).readonly and int(frozen[1]) == 12
    assert type(x.copy()) is bytearray and b"-".join([x, x]) == b"hello world-hello world" and set(dir(x)) == set(dir(plain))
    for write in (
        lambda: x.append(1), lambda: x.extend(b"x"), lambda: x.pop(), lambda: x.clear(), lambda: x.__setitem__(0, 1),
        lambda: x.__delitem__(0), lambda: x.__iadd__(b"x"), lambda: x.reverse(), lambda: setattr(x, "y", 1),
    ):
        try:
            write()
        except TypeError as error:
            assert "frozen" in str(error), error
        else:
            raise AssertionError
    try:
        hash(x)
    except TypeError:
        pass
    else:
        raise AssertionError
    """
    frozen = firn.freeze([bytearray(b"hello world"), bytearray(b"12")])
    readers.run(code, frozen)
    assert type(firn.thaw(frozen)[0]) is bytearray and firn.thaw(frozen[0]) == b"hello world"
    assert type(pickle.loads(pickle.dumps(frozen[0]))) is bytearray


@pytest.mark.parametrize("typecode", "bBhHiIlLqQfd")
def test_typed_arrays_read_as_arrays(typecode, readers):
    original = array.array(typecode, [3, 1, 2, 1])
    frozen = firn.freeze([original])
    code = """
    import array
    x, plain = frozen[0], array.array(typecode, [3, 1, 2, 1])
    assert isinstance(x, array.array) and x == plain and plain == x[:] and len(x) == 4 and x.typecode == typecode
    assert x.itemsize == plain.itemsize and x[0] == 3 and x[-2] == 2 and type(x[1:]) is array.array and x[1:] == plain[1:]
    assert list(x) == x.tolist() == [3, 1, 2, 1] and x.tobytes() == plain.tobytes() and x.index(2) == 2 and x.count(1) == 2
    assert repr(x) == repr(plain) and 2 in x and 9 not in x and x + x == plain + plain and memoryview(x).format == typecode
    try:
        x.append(1)
    except TypeError as error:
        assert "frozen" in str(error)
    else:
        raise AssertionError
    """
    readers.run(code, frozen, typecode=typecode)
    thawed = firn.thaw(frozen)[0]
    assert type(thawed) is array.array and thawed == original
    thawed.append(1)


def test_memoryviews_are_memoryviews(readers):
    base = memoryview(bytearray(range(24)))
    views = [
        base,
        base.cast("h"),
        base.cast("i", (2, 3)),
        base[::2],
        base[::-1],
        memoryview(b"").cast("b"),
        base.cast("c"),
    ]
    frozen = firn.freeze(views)
    for one, other in zip(frozen, views, strict=True):
        assert type(one) is memoryview and one.readonly and (one.format, one.shape) == (other.format, other.shape)
        assert one.tolist() == other.tolist()
        thawed = firn.thaw(one)
        assert type(thawed) is memoryview and thawed.readonly == other.readonly and thawed.tolist() == other.tolist()
    readers.run(
        "assert [(type(v), v.format, v.tolist()) for v in frozen] == [(memoryview, *one) for one in wanted]",
        frozen,
        wanted=[(view.format, view.tolist()) for view in views],
    )


def test_views_that_hash_go_on_hashing(readers):
    view = memoryview(b"key")
    frozen = firn.freeze([{view: 1}, {view, b"other"}, frozenset([view]), (view, 2), view, view[1:]])
    readers.run(
        """
        mapping, members, few, pair, view, part = frozen
        assert hash(view) == hash(b"key") and hash(part) == hash(b"ey") and hash(pair) == hash((b"key", 2))
        assert mapping[b"key"] == mapping[view] == 1 and b"key" in members and b"key" in few
        """,
        frozen,
    )
    mapping, members, few, pair, one, _ = firn.thaw(frozen)
    assert mapping == {b"key": 1} and members == {b"key", b"other"} and few == {b"key"} and pair == (b"key", 2)
    again = firn.freeze([frozen[4][1:], one])
    assert [hash(again[0]), hash(again[1])] == [hash(b"ey"), hash(b"key")]
    writable = firn.freeze([memoryview(bytearray(b"no key")), memoryview(bytearray(b"no key")).toreadonly()])
    for one in writable:
        with pytest.raises(TypeError, match="unhashable"):
            hash(one)


def test_other_exporters_become_memoryviews():
    with mmap.mmap(-1, 4096) as memory:
        memory[:5] = b"hello"
        frozen = firn.freeze([memory])
        assert type(frozen[0]) is memoryview and bytes(frozen[0][:5]) == b"hello"
        assert bytes(firn.freeze([pickle.PickleBuffer(b"abc")])[0]) == b"abc"


def test_arrays_of_workers_freeze():
    made = _core.Array([[1, 2], [3, 4]]) * 2
    frozen = firn.freeze([made, made])
    assert type(frozen[0]) is _core.Array and frozen[0] is frozen[1] and firn.is_frozen(frozen[0])
    assert frozen[0].tolist() == [[2, 4], [6, 8]]
    with pytest.raises(TypeError, match="frozen"):
        frozen[0][0] = 1


def test_errors_name_the_path():
    released = memoryview(b"abc")
    released.release()
    with pytest.raises(firn.NotFreezableError) as caught:
        _core.freeze_roots({"rows": [np.zeros(3), {"view": released}]})
    assert caught.value.path == "rows[1]['view']"


def test_a_large_array_of_small_ones():
    rows = [np.arange(i % 7) for i in range(3000)]
    frozen = firn.freeze(rows)
    assert all(np.array_equal(one, other) for one, other in zip(frozen, rows, strict=True))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("change", "wanted"),
    [("x.shape = 3, 2", [[0, 1], [2, 3], [4, 5]]), ("x.dtype = 'i4'", [0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0]),
     ("x.strides = (0,)", [0, 0, 0, 0, 0, 0])],
)  # fmt: skip
def test_the_form_of_an_array_that_the_notebook_sets_is_what_workers_see(readers, change, wanted):
    # NumPy lets shape, strides and dtype be set of a read-only array, too.
    x = first = firn.freeze(np.arange(6))
    assert firn.freeze(x) is first
    exec(change)
    frozen = firn.freeze([x, x])
    readers.run("assert frozen[0].tolist() == frozen[1].tolist() == wanted", frozen, wanted=wanted)
    assert firn.thaw(x).tolist() == wanted and x.tolist() == wanted


def test_dates_keep_their_own_array():
    days = firn.freeze([np.array(["2024-01-01", "2024-02-01"], "M8[D]"), np.zeros((1, 3))[:, ::2], np.zeros((0, 4))])
    assert all(days[place] is days[place] and firn.freeze(days[place]) is days[place] for place in range(3))


def test_a_frozen_array_is_a_sequence_for_match() -> None:
    match firn.freeze(array.array("i", [1, 2, 3])):
        case [1, *rest]:
            assert rest == [2, 3]
        case _:
            raise AssertionError
