"""Graphs of all kinds, frozen, read in two workers, thawed and dropped, over and over: the memory comes back."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

# A round freezes 1.3 MB, made of 5 MB. In memory a round may leave no more than its reports, which the history keeps; and
# few segments may be left in files, by old pointers that the scan finds somewhere.
ROUNDS = """
import ctypes, gc, random, sys
sys.path.insert(0, HERE)
import firn
from firn import _core
from graphs import build, shape
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.history_manager.enabled = False
shell.extension_manager.load_extension("firn")
shell.run_cell("from graphs import shape").raise_error()

def resident():
    for _ in range(4):
        gc.collect()
        shell.run_cell("pass").raise_error()
        _core.rescan()
        assert _core.settle()
    _core.cool()
    ctypes.CDLL(None).malloc_trim(0)
    return int(open("/proc/self/statm").read().split()[1]) * 4096

def round(seed):
    draw = random.Random(seed)
    def graph(twins):
        specs = [(draw.randrange(61), [draw.randrange(201) for _ in range(draw.randrange(6))]) for _ in range(14)]
        return build(specs, twins)
    nodes = [graph(number % 2 == 1) for number in range(40)]
    wanted = [shape(node) for node in nodes]
    shell.user_ns["nodes"], shell.user_ns["text"] = nodes, [f"{seed} {i}" for i in range(20_000)]
    shell.run_cell("%%parallel --quiet --workers 2\\nread = [shape(node) for node in nodes]").raise_error()
    shell.run_cell("%%parallel --quiet --workers 2\\nsizes = [len(word) for word in text]").raise_error()
    frozen = shell.user_ns["nodes"]
    assert firn.is_frozen(frozen) and frozen is not nodes
    assert shell.user_ns["read"] == wanted
    assert shell.user_ns["sizes"] == [len(word) for word in shell.user_ns["text"]]
    assert [shape(node) for node in frozen[::2]] == wanted[::2]
    assert [shape(node) for node in firn.thaw(frozen)] == wanted
    del nodes, frozen
    shell.run_cell("del nodes, text, read, sizes").raise_error()
    assert _core.settle()

for seed in range(WARM):
    round(seed)
before, freed, made = resident(), _core.scan_figures()["freed"], _core.count_segments()
for seed in range(WARM, WARM + TIMES):
    round(seed)
grown = resident() - before
figures = _core.scan_figures()
made, freed = _core.count_segments() - made, figures["freed"] - freed
left = [(one["names"], one["bytes"], one["backing"]) for one in _core.segments()]
print(f"{grown / 1e6:.1f} MB more, {freed} of {made} segments freed, left: {left}")
assert figures["problem"] == ""
assert made >= TIMES
assert grown < 8_000_000 + 100_000 * TIMES
assert freed >= 0.8 * made
assert sum(size for _, size, _ in left) < 12_000_000 + 100_000 * TIMES
"""


def check(run_python: Callable[..., CompletedProcess[str]], spool: Path, rounds: int) -> None:
    code = f"HERE, WARM, TIMES = {str(Path(__file__).parent)!r}, 5, {rounds}\n" + textwrap.dedent(ROUNDS)
    done = run_python(code, FIRN_SPOOL=str(spool), timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    assert not list(spool.iterdir())


def test_memory_is_back_after_rounds_of_graphs_of_all_kinds(
    run_python: Callable[..., CompletedProcess[str]], spool: Path
) -> None:
    check(run_python, spool, 20)


@pytest.mark.long
def test_memory_is_back_after_200_rounds_of_graphs_of_all_kinds(
    run_python: Callable[..., CompletedProcess[str]], spool: Path
) -> None:
    check(run_python, spool, 200)
