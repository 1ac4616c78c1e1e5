"""Retired segments: while anything of the process points into them they stay, afterwards they are given back for good."""

import textwrap

import pytest

TOOLS = """
import array, ctypes, gc, os, random, sys, threading, time
import firn
from firn import _core

def freeze(rows=3000):
    result = _core.freeze_roots({"rows": [b"%09d" % i + b"x" * 90 for i in range(rows)]})
    return result.frozen["rows"], result.segment

def backing(segment):
    return next((info["backing"] for info in _core.segments() if info["id"] == segment), "gone")

def scan():
    _core.rescan()
    assert _core.settle() and _core.scan_figures()["problem"] == "", _core.scan_figures()

def right(row, number):
    return row == b"%09d" % number + b"x" * 90
"""

HOLDERS = {
    "variable": "keep = rows[7]",
    "list": "keep = [[rows[7]]]",
    "generator": "def g(row):\n    yield\n    yield row\nkeep = g(rows[7]); next(keep)",
    "closure": "keep = (lambda row: lambda: row)(rows[7])",
    "ctypes": "keep = (ctypes.c_void_p * 3)(0, id(rows[7]), 0)",
    "py_object": "keep = ctypes.py_object(rows[7])",
    "array": "keep = array.array('Q', [1, id(rows[7]), 3])",
    "interior": "keep = array.array('Q', [id(rows[7]) + 41])",
    "tagged": "keep = array.array('Q', [id(rows[7]) | 1])",
    "numpy": "import numpy\nkeep = numpy.array([0, id(rows[7])], dtype=numpy.uint64)",
    "buffer": "import numpy\nkeep = numpy.frombuffer(rows[7], dtype=numpy.uint8)",
    "segment": "keep = _core.freeze_roots({'x': {'row': rows[7]}}).frozen['x']",
    "iterator": "keep = iter(rows[7])",
    "values that begin like bytes": (
        "class Field: pass\nfield = Field(); field.kind = bytes; field.unset = field.b = field.c = field.d = 0\n"
        "field.row = rows[7]; del field.unset; keep = vars(field).copy(); del field"
    ),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_is_pointed_to_stays_and_reads_right(run_python, spool, holder):
    code = """
        for number in range(5):
            rows, segment = freeze()
            exec(HOLDER)
            address = id(rows[7])
            del rows
            _core.retire([segment])
            for _ in range(3):
                scan()
                assert backing(segment) == "file"
            assert right(_core.adopt(address), 7)
            keep = None
    """
    done = run_python(TOOLS + f"HOLDER = {HOLDERS[holder]!r}\n" + textwrap.dedent(code), FIRN_SPOOL=str(spool))
    assert done.returncode == 0, done.stderr


def test_threads_hold_what_is_on_their_stacks(run_python, spool):
    code = """
        rows, segment = freeze()
        ready, over = threading.Event(), threading.Event()
        answers = []
        def work(row):
            ready.set()
            over.wait()
            answers.append(right(row, 7))
        thread = threading.Thread(target=work, args=(rows[7],))
        thread.start(); ready.wait()
        del rows
        _core.retire([segment])
        for _ in range(3):
            scan()
            assert backing(segment) == "file"
        over.set(); thread.join()
        assert answers == [True]
    """
    done = run_python(TOOLS + textwrap.dedent(code), FIRN_SPOOL=str(spool))
    assert done.returncode == 0, done.stderr


def test_what_nothing_points_to_is_gone_and_its_memory_is_given_back(run_python, spool):
    code = """
        def resident():
            return int(open("/proc/self/statm").read().split()[1]) * 4096
        addresses, gone, before = [], 0, resident()
        for number in range(20):
            rows, segment = freeze(20_000)
            addresses.append((segment, id(rows) ^ 1 << 60))
            del rows
            _core.retire([segment])
            assert _core.settle()
        scan()
        _core.cool()
        for segment, address in addresses:
            if backing(segment) == "gone" and not _core.segments():
                try:
                    _core.adopt(address ^ 1 << 60)
                except ValueError:
                    gone += 1
        assert _core.scan_figures()["freed"] >= 18, _core.scan_figures()
        assert gone == 20 or _core.segments()
        assert resident() - before < 30_000_000, (resident(), before)
    """
    done = run_python(TOOLS + textwrap.dedent(code), FIRN_SPOOL=str(spool))
    assert done.returncode == 0, done.stderr
    assert not list(spool.iterdir())


def test_what_was_freed_holds_nothing_in_a_heap_of_several_mappings(run_python, spool):
    """Advice for a part of malloc's memory, as NumPy gives it for large arrays, makes that part a mapping of its own."""
    code = """
        def heaps():
            return [line.split()[0] for line in open("/proc/self/maps") if line.rstrip().endswith("[heap]")]
        begin, end = (int(part, 16) for part in heaps()[0].split("-"))
        middle = (begin + end) // 2 & ~4095
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.madvise(ctypes.c_void_p(middle), ctypes.c_size_t(4096), 15) == 0  # MADV_NOHUGEPAGE
        assert len(heaps()) > 1
        rows, segment = freeze()
        lists = [[*rows] for _ in range(9)]
        places = [ctypes.c_size_t.from_address(id(one) + 24).value for one in lists]
        fences = [[None] * 3000 for _ in range(9)]
        del rows, lists
        assert any(begin <= place < int(heaps()[-1].split("-")[1], 16) for place in places)
        _core.retire([segment])
        scan()
        assert backing(segment) == "gone", [hex(place) for place in places]
    """
    done = run_python(TOOLS + textwrap.dedent(code), FIRN_SPOOL=str(spool))
    assert done.returncode == 0, done.stderr


def test_code_that_lies_where_pointers_were_holds_nothing(run_python, spool):
    """CPython leaves a word of each code object as it was; cells' code is kept for long."""
    code = """
        keep = []
        for number in range(3):
            rows, segment = freeze()
            for statements in range(1, 120):
                source = f"x = {number}\\n" * statements
                words = (compile(source, "<cell>", "exec").__sizeof__() + 7) // 8
                before = [[rows[7]] * words for _ in range(20)]
                del before
                keep += [compile(source, "<cell>", "exec") for _ in range(20)]
            del rows
            _core.retire([segment])
            for _ in range(3):
                if backing(segment) != "gone":
                    scan()
            assert backing(segment) == "gone", (number, segment)
        space = {}
        for code in keep[:: 7]:
            exec(code, space)
            assert space["x"] in (0, 1, 2)
    """
    done = run_python(TOOLS + textwrap.dedent(code), FIRN_SPOOL=str(spool))
    assert done.returncode == 0, done.stderr


def test_what_methods_were_called_of_is_gone(run_python, spool):
    """The bound method of the last call waits to be bound again: what it was bound to may go."""
    code = """
        class Point:
            def __init__(self, n):
                self.n = n
            def get(self):
                return self.n

        def call(points):
            for point in points:
                assert point.get() == point.n

        seen = []
        for number in range(21):
            result = _core.freeze_roots({"points": [Point(n) for n in range(10_000)]})
            call(result.frozen["points"])
            held = result.frozen["points"][-1].get if number == 20 else None
            segment = result.segment
            del result
            _core.retire([segment])
            for _ in range(3):
                scan()
            gc.collect()
            seen.append(backing(segment))
        assert "gone" in seen[:20] and seen[20] == "file" and held() == 9999, seen
    """
    done = run_python(TOOLS + textwrap.dedent(code), FIRN_SPOOL=str(spool))
    assert done.returncode == 0, done.stderr


def test_weak_references_to_methods_hold_what_the_method_is_of(run_python, spool):
    """The bound method of the last call waits to be bound again: a weak reference finds it there."""
    code = """
        import weakref

        class Point:
            def __init__(self, n):
                self.text = b"%09d" % n + b"x" * 90
            def get(self):
                return self.text

        for number in range(5):
            result = _core.freeze_roots({"points": [Point(n) for n in range(3000)]})
            segment = result.segment
            reference = (lambda points: weakref.ref(points[7].get))(result.frozen["points"])
            del result
            _core.retire([segment])
            for _ in range(3):
                scan()
            method = reference()
            assert method is None or right(method(), 7)
            del method
    """
    done = run_python(TOOLS + textwrap.dedent(code), FIRN_SPOOL=str(spool))
    assert done.returncode == 0, done.stderr


def test_memory_between_a_stack_without_limit_and_what_lay_below_it_holds(run_python, spool):
    """CPython takes all of that for the stack, most of it for what is free there."""
    code = """
        import resource
        if "AGAIN" not in os.environ:
            limit = resource.getrlimit(resource.RLIMIT_STACK)[1]
            resource.setrlimit(resource.RLIMIT_STACK, (limit, limit))
            os.execve(sys.executable, sys.orig_argv, os.environ | {"AGAIN": "1"})
        stack = next(int(line[:12], 16) for line in open("/proc/self/maps") if line.endswith("[stack]\\n"))
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_size_t
        libc.mmap.argtypes = [ctypes.c_size_t, ctypes.c_size_t] + [ctypes.c_int] * 4
        # Readable, writable, private, anonymous: a gigabyte below the stack.
        memory = libc.mmap(stack - (1 << 30), 4096, 3, 0x22, -1, 0)
        slot = ctypes.c_size_t.from_address(memory)
        for number in range(3):
            rows, segment = freeze()
            slot.value = id(rows[7])
            del rows
            _core.retire([segment])
            for _ in range(2):
                scan()
                assert backing(segment) == "file"
            assert right(_core.adopt(slot.value), 7)
    """
    done = run_python(TOOLS + textwrap.dedent(code), FIRN_SPOOL=str(spool))
    assert done.returncode == 0, done.stderr


def test_random_holders_always_read_right(run_python, spool):
    code = """
        generator = random.Random(11)
        held = {}
        for number in range(60):
            rows, segment = freeze(800)
            for _ in range(generator.randrange(3)):
                held[len(held), number] = [rows[i] for i in generator.sample(range(800), 3)]
            del rows
            _core.retire([segment])
            for key in generator.sample(sorted(held), min(len(held), 2)):
                if generator.random() < 0.5:
                    del held[key]
            for kept in held.values():
                assert all(right(row, int(row[:9])) for row in kept)
        scan()
        assert _core.scan_figures()["freed"] > 10
    """
    done = run_python(TOOLS + textwrap.dedent(code), FIRN_SPOOL=str(spool))
    assert done.returncode == 0, done.stderr
