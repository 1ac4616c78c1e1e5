"""The firn kernel beside ipykernel and xpython (Debian's package, on Debian's Python), in one run.

Start, memory, round trips and floods of output; the kernels take turns. Starts are medians, floods minima, round trips
the median and the 99th percentile of all. A peer that does not deliver is shown with what it delivered.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager

from bench.harness import Figure
from bench.kernel_client import Kernel, Silence, each_in_turn

SPECS = {"firn": "firn", "ipykernel": "python3", "xpython": "xpython"}
OF_IPYKERNELS = {"start": 0.65, "memory": 0.7, "round trip": 0.5}
"""The targets where firn wants more than to be no worse than the better of the two."""

ECHO = """import comm
def _opened(channel, message):
    channel.on_msg(lambda message: channel.send(message['content']['data']))
comm.get_comm_manager().register_target('echo', _opened)
"""
COMPLETE = {"code": "os.path.is", "cursor_pos": 10}


class Figures:
    """Turns what was taken of each kernel into figures, one for each peer."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}  # with versions: its own and its Python's

    def of(
        self, name: str, taken: dict[str, float], unit: str, kind: str = "", came: dict[str, float] | None = None
    ) -> Iterator[Figure]:
        """`came`: the part of the output that arrived, by kernel; who loses some is no measure."""
        for peer in taken:
            if peer == "firn":
                continue
            arrived = (came or {}).get(peer, 1.0)
            shown = self.names[peer]
            bound = OF_IPYKERNELS.get(kind, 1.0) if peer == "ipykernel" else 1.0
            if arrived < 1:
                shown += f", {arrived:.0%} of it came"
            better = "times the memory" if unit == "MB" else "times as many" if unit == "" else "times the time"
            target = f"at most {bound:g}" if arrived >= 1 else ""
            yield Figure(name, taken["firn"], taken[peer], unit, shown, better, target)


def figures(rounds: int = 7, size: int = 1) -> Iterator[Figure]:
    """`size`: the floods and series are this many times smaller."""
    show, specs = Figures(), _specs()
    yield from _starts(show, specs, rounds, settling=1 / size)
    kernels = {name: Kernel(spec) for name, spec in specs.items()}
    try:
        for kernel in kernels.values():
            for cell in ("1", "import os, time", ECHO):
                kernel.run(cell)
            kernel.ask("complete_request", COMPLETE)  # what is loaded for the first one is no matter of round trips
        yield from _round_trips(show, kernels, rounds, 100 // size)
        yield from _floods(show, kernels, rounds, size)
        yield from _comms(show, kernels, rounds, 1000 // size)
    finally:
        for kernel in kernels.values():
            kernel.stop()


def _specs() -> dict[str, str]:
    """The kernels by their kernelspecs. xpython comes with a Python of its own, and shares this one's IPython."""
    here = f"Python {sys.version_info[0]}.{sys.version_info[1]} "
    shown = KernelSpecManager().get_kernel_spec(SPECS["xpython"]).display_name
    if here in shown:
        return SPECS
    print(f"  xpython is {shown}, and this is {here}: left out", flush=True)
    return {name: spec for name, spec in SPECS.items() if name != "xpython"}


def _starts(show: Figures, specs: dict[str, str], rounds: int, settling: float) -> Iterator[Figure]:
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in specs}
    with TemporaryDirectory(prefix="firn-bench-") as profiles:
        for turn in range(rounds + 1):
            for name, spec in specs.items():
                one = _one_start(show, name, spec, settling, profile=str(Path(profiles, name)))
                if turn > 0:  # the first one has made the person's profile and read all files from the disk
                    taken[name].append(one)

    def median(key: str) -> dict[str, float]:
        return {name: statistics.median(one[key] for one in each) for name, each in taken.items()}

    yield from show.of("start to ready", median("ready"), "s", "start")
    yield from show.of("start to the first cell's result", median("first"), "s", "start")
    for when in ("after the start", "after the first cell"):
        for kind in ("RSS", "PSS", "private"):
            yield from show.of(f"memory {when}, {kind}", median(f"{when} {kind}"), "MB", "memory")
        yield from show.of(f"threads {when}", median(f"{when} threads"), "")


def _one_start(show: Figures, name: str, spec: str, settling: float, profile: str) -> dict[str, float]:
    taken = {}
    for what, cell, when in (("ready", "", "after the start"), ("first", "1", "after the first cell")):
        kernel = Kernel(spec, cell, profile)
        try:
            taken[what] = kernel.ready
            if not cell:
                show.names[name] = _with_version(name, kernel.answer)
            time.sleep(settling)  # what a kernel loads once it has answered counts, too
            taken |= {f"{when} {kind}": megabytes for kind, megabytes in kernel.memory().items()}
            taken[f"{when} threads"] = kernel.threads()
        finally:
            kernel.stop()
    return taken


def _with_version(name: str, info: dict[str, Any]) -> str:
    """`info`: a kernel_info_reply. ipykernel gives IPython's version for its own."""
    own = version("ipykernel") if name == "ipykernel" else info["implementation_version"]
    return f"{name} {own} ({info['language_info']['version']})"


def _round_trips(show: Figures, kernels: dict[str, Kernel], rounds: int, number: int) -> Iterator[Figure]:
    actions: dict[str, Callable[[Kernel], Any]] = {
        "`1`": lambda kernel: kernel.run("1"),
        "a completion": lambda kernel: kernel.ask("complete_request", COMPLETE),
    }
    for title, action in actions.items():
        taken = each_in_turn(
            kernels, rounds, lambda kernel, action=action: [action(kernel).seconds * 1000 for _ in range(number)]
        )
        pooled = {name: sorted(one for each in series for one in each) for name, series in taken.items()}
        medians = {name: statistics.median(series) for name, series in pooled.items()}
        slow = {name: series[int(len(series) * 0.99)] for name, series in pooled.items()}
        yield from show.of(f"round trip of {title}, median", medians, "ms", "round trip")
        yield from show.of(f"round trip of {title}, 99th percentile", slow, "ms", "round trip")


def _floods(show: Figures, kernels: dict[str, Kernel], rounds: int, size: int) -> Iterator[Figure]:
    prints, chunks, updates = 20_000 // size, 1000 // size, 1000 // size
    lines = sum(len(f"{n}\n") for n in range(prints))
    floods: dict[str, tuple[str, str, int]] = {
        f"{prints:,} prints": (f"for i in range({prints}):\n    print(i)", "stream", lines),
        f"{chunks // 10:,} MB of output": (f"for i in range({chunks}):\n    print('x' * 99_999)", "stream", chunks * 100_000),
        f"{updates:,} display updates": (
            f"handle = display(0, display_id=True)\nfor i in range({updates}):\n    handle.update(i)",
            "update_display_data",
            updates,
        ),
    }  # fmt: skip
    for title, (code, kind, expected) in floods.items():
        taken = each_in_turn(kernels, rounds, lambda kernel, code=code, kind=kind: _flood(kernel, code, kind))
        best = {name: min(seconds for seconds, _ in each) for name, each in taken.items()}
        came = {name: min(amount for _, amount in each) / expected for name, each in taken.items()}
        assert came["firn"] == 1, f"{title}: firn delivered {came['firn']:.0%}"
        yield from show.of(title, best, "s", came=came)


def _flood(kernel: Kernel, code: str, kind: str) -> tuple[float, int]:
    """Seconds to the last message, and how many characters or messages of the kind came."""
    try:
        answer = kernel.run(code, patience=10)
    except Silence:
        return float("nan"), 0
    if kind == "stream":
        return answer.seconds, sum(len(content["text"]) for content in answer.of(kind))
    return answer.seconds, sum(each == kind for each, _ in answer.published)


def _comms(show: Figures, kernels: dict[str, Kernel], rounds: int, number: int) -> Iterator[Figure]:
    title = f"{number:,} comm messages, echoed"
    for kernel in kernels.values():
        kernel.send("comm_open", {"comm_id": "bench", "target_name": "echo", "data": {}})
        kernel.quiet()
    contents = [{"comm_id": "bench", "data": {"n": n}} for n in range(number)]

    def echo(kernel: Kernel) -> tuple[float, int]:
        taken = kernel.ask_many("comm_msg", contents, b'"comm_msg"')
        kernel.quiet()
        return taken

    taken = each_in_turn(kernels, rounds, echo)
    best = {name: min(seconds for seconds, _ in each) for name, each in taken.items()}
    came = {name: min(amount for _, amount in each) / number for name, each in taken.items()}
    assert came["firn"] == 1, f"{title}: firn answered {came['firn']:.0%}"
    yield from show.of(title, best, "s", came=came)
