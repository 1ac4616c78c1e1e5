"""The guard, memory, and what happens when there is none."""

import signal

import pytest


def test_a_write_into_a_segment_is_a_crash(run_python):
    code = """
        import ctypes, sys, firn
        frozen = firn.freeze([1, "some text", {"a": 2.5}])
        address = id(frozen) if sys.argv[1:] == [] else 0
        ctypes.c_uint32.from_address(address).value = 7
        print("written")
    """
    guarded = run_python(code)
    assert guarded.returncode == -signal.SIGSEGV and "written" not in guarded.stdout
    # Modules built for old stable ABIs count references of immortal objects: without the guard they may.
    unguarded = run_python(code, guard=False)
    assert unguarded.returncode == 0 and "written" in unguarded.stdout, unguarded.stderr


@pytest.mark.parametrize("size", [10, 200_000, 30_000_000])
def test_every_page_of_a_segment_is_guarded(run_python, size):
    code = f"""
        import ctypes, firn
        frozen = firn.freeze([b"x" * {size}, [b"y" * 100 for _ in range({size // 100})]])
        parts = [frozen[0], *frozen[1][:: max(1, len(frozen[1]) // 50)]]
        maps = [line.split() for line in open("/proc/self/maps")]
        ranges = [(*[int(x, 16) for x in m[0].split("-")], m[1]) for m in maps]
        for part in parts:
            for at in (id(part), id(part) + len(part)):
                assert any(a <= at < b and rights.startswith("r--") for a, b, rights in ranges), hex(at)
    """
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_no_memory_leaves_nothing_half_frozen(run_python):
    code = """
        import resource, firn
        from firn import _core
        firn.freeze([1, "warm up"])
        plain = [b"x" * 1000 + str(i).encode() for i in range(300_000)]
        before = _core.segments()
        used = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmData")) * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (used + (40 << 20), resource.RLIM_INFINITY))
        for threads in (1, 3):
            try:
                _core.freeze_roots({"plain": plain}, threads=threads)
            except MemoryError as error:
                assert "nothing has been changed" in str(error), error
            else:
                raise AssertionError("there was memory")
            assert _core.segments() == before
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        frozen = firn.freeze(plain)
        assert frozen[299_999] == plain[299_999] and len(frozen) == 300_000
        print("done")
    """
    done = run_python(code)
    assert done.returncode == 0 and "done" in done.stdout, done.stderr


def test_a_refused_freeze_gives_its_memory_back(run_python):
    code = """
        import firn
        from firn import _core
        def resident():
            return int(open("/proc/self/statm").read().split()[1]) * 4096
        plain = [b"x" * 1000 + str(i).encode() for i in range(50_000)] + [__import__("threading").Lock()]
        sizes = []
        for _ in range(20):
            try:
                _core.freeze_roots({"plain": plain}, threads=1)
            except firn.NotFreezableError:
                sizes.append(resident())
        assert sizes[-1] - sizes[2] < 30_000_000, sizes
    """
    done = run_python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.unsanitized
def test_without_the_addresses_the_import_says_so(run_python):
    code = """
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (64 << 30, 64 << 30))
        try:
            import firn
        except (ImportError, MemoryError) as error:
            text = str(error) + str(error.__cause__)
            assert "1 TiB" in text and "ulimit -v" in text, text
            print("said")
    """
    done = run_python(code)
    assert "said" in done.stdout, done.stderr


def test_thousands_of_small_freezes_use_little_memory(run_python):
    code = """
        import firn
        def resident():
            return int(open("/proc/self/statm").read().split()[1]) * 4096
        firn.freeze([1])
        before = resident()
        kept = [firn.freeze([i, str(i) * 3]) for i in range(5000)]
        assert resident() - before < 100_000_000, resident() - before
        assert kept[4999][0] == 4999
    """
    done = run_python(code, guard=False)
    assert done.returncode == 0, done.stderr


def test_freezing_goes_on_in_a_forked_child(run_python):
    code = """
        import os, firn
        from firn import _core
        frozen = firn.freeze({"a": [1, 2]})
        child = os.fork()
        if not child:
            again = firn.freeze({"b": frozen})
            ok = again["b"]["a"] == [1, 2] and firn.thaw(again) == {"b": {"a": [1, 2]}}
            _core.freeze_roots({"big": [{"k": i} for i in range(20_000)]}, threads=4)
            os._exit(0 if ok else 1)
        assert os.waitpid(child, 0)[1] == 0
    """
    done = run_python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("sys.version_info = (3, 13, 9)", "CPython 3.14 or 3.15"),
        ("sys.version_info = (3, 16, 0)", "CPython 3.14 or 3.15"),
        ("sys.implementation.name = 'pypy'", "CPython 3.14 or 3.15"),
        ("sys.abiflags = 't'", "free-threaded"),
    ],
)
def test_an_unsupported_python_is_refused_in_one_sentence(run_python, change, words):
    done = run_python(
        f"""
        import sys
        {change}
        try:
            import firn
        except ImportError as error:
            assert "\\n" not in str(error).split(": this is")[0]
            print(error)
        """
    )
    assert words in done.stdout, done.stderr
