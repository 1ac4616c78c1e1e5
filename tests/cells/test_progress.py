"""The progress of long loops: after a second, a few times a second, where somebody looks; gone at the end."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from firn import _core, long_freezes
from firn.progress import DELAY, INTERVAL, NOTHING, FrontEnd, Progress, coarse, line, screen_of
from IPython.core.displaypub import CapturingDisplayPublisher

SLOW = "%%parallel\nout = [time.sleep(0.1) or n for n in range(32)]"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Wall:
    """A screen that notes what it is asked for, and may be slow or broken."""

    def __init__(self, clock: Clock, cost: float = 0.0, broken: bool = False) -> None:
        self.clock, self.cost, self.broken = clock, cost, broken
        self.calls: list[str] = []
        self.times: list[float] = []

    def draw(self, progress: Progress) -> None:
        self.calls.append(str(progress))
        self.times.append(self.clock.now)
        self.clock.now += self.cost
        if self.broken:
            raise OSError("the screen is gone")

    def step_aside(self, text: str) -> None:
        self.calls.append(f"aside: {text}")

    def clear(self) -> None:
        self.calls.append("clear")


def drive(wall: Wall, seconds: float, step: float = 0.01) -> Progress:
    """A loop of 1000 iterations that are done evenly within so many seconds."""
    clock = wall.clock
    progress = Progress(wall, "for loop", 1000, clock)
    began = clock.now
    while clock.now < began + seconds:
        clock.now += step
        progress.add(min(1000, round(1000 * (clock.now - began) / seconds)) - progress.done)
        progress.look()
    progress.close()
    return progress


def test_a_short_loop_shows_nothing():
    wall = Wall(Clock())
    drive(wall, 0.9)
    assert wall.calls == []


def test_a_long_one_is_drawn_at_the_rate_and_cleared_at_the_end():
    wall = Wall(Clock())
    drive(wall, 5.0)
    assert wall.times[0] == pytest.approx(100 + DELAY, abs=0.02)
    assert all(later - at >= INTERVAL for at, later in zip(wall.times, wall.times[1:], strict=False))
    assert len(wall.times) == pytest.approx(4 / INTERVAL, abs=2)
    assert wall.calls[0] == "for loop: 20 %, 200 of 1,000 iterations, 200 per second, 4 s left"
    assert wall.calls[-1] == "clear" and wall.calls.count("clear") == 1


def test_a_slow_screen_is_drawn_on_rarely():
    wall = Wall(Clock(), cost=0.2)
    drive(wall, 20.0)
    assert len(wall.times) <= 6  # 5 % of the time at most
    quick = Wall(Clock())
    drive(quick, 20.0)
    assert len(quick.times) > 60


def test_a_broken_screen_is_not_asked_again():
    wall = Wall(Clock(), broken=True)
    drive(wall, 5.0)
    assert len(wall.calls) == 1


def test_the_wait_ends_when_there_is_something_to_draw():
    wall = Wall(Clock())
    progress = Progress(wall, "for loop", 10, wall.clock)
    assert progress.wait(None) == pytest.approx(DELAY)
    assert progress.wait(0.05) == 0.05
    wall.clock.now += DELAY
    assert progress.wait(None) == 0
    progress.look()
    assert progress.wait(None) == pytest.approx(INTERVAL)
    assert Progress(None, "", 0).wait(None) is None


def test_figures_before_and_after_the_first_iteration():
    clock = Clock()
    progress = Progress(None, "for loop", 8, clock)
    clock.now += 3
    assert str(progress) == "for loop: 0 %, 0 of 8 iterations"
    progress.add(2)
    assert str(progress) == "for loop: 25 %, 2 of 8 iterations, 1.50 s each, 9 s left"
    assert [coarse(value) for value in (0.2, 59.4, 200, 7500)] == ["1 s", "59 s", "3 min 20 s", "2 h 5 min"]


@pytest.mark.parametrize("columns", [0, 10, 40, 80, 200])
def test_a_line_fits_its_terminal(columns):
    clock = Clock()
    progress = Progress(None, "for loop", 8, clock)
    clock.now += 3
    progress.add(4)
    text = line(progress, columns)
    assert len(text) <= columns
    assert columns < 80 or (text.startswith("[###") and "50 %" in text)


def test_a_front_end_gets_one_output_that_is_updated_and_emptied():
    published: list[dict[str, Any]] = []
    wall = Wall(Clock())
    screen = FrontEnd(lambda **message: published.append(message), 7)
    wall.draw = screen.draw  # type: ignore[method-assign]
    wall.clear = screen.clear  # type: ignore[method-assign]
    drive(wall, 3.0)
    assert [message["update"] for message in published] == [False] + [True] * (len(published) - 1)
    assert len({message["transient"]["display_id"] for message in published}) == 1
    assert "for loop" in published[0]["data"]["text/html"] and published[-1]["data"] == NOTHING


def test_a_cell_shows_progress_where_there_is_a_front_end(notebook, monkeypatch):
    shown: list[dict[str, Any]] = []
    publish = notebook.shell.display_pub.publish

    def record(data: Any, metadata: Any = None, **rest: Any) -> None:
        shown.append(rest | {"data": data})
        publish(data, metadata)

    notebook.ok("import time")
    notebook.ok(SLOW)
    assert not [message for message in notebook.reports if "iterations," in message["text/plain"]]
    monkeypatch.setattr(notebook.shell, "kernel", object(), raising=False)
    monkeypatch.setattr(notebook.shell.display_pub, "publish", record)
    notebook.ok(SLOW)
    assert notebook["out"] == list(range(32))
    *bars, last, report = shown
    assert bars and last["data"] == NOTHING and "transient" not in report
    assert all(" of 32 iterations" in bar["data"]["text/plain"] for bar in bars)
    shown.clear()
    notebook.ok(SLOW.replace("%%parallel", "%%parallel --quiet"))
    assert shown == []
    notebook.fails("%%parallel\nout = [time.sleep(0.1) or 1 // (30 - n) for n in range(60)]")
    assert [message["data"] for message in shown if "transient" in message][-1] == NOTHING
    assert "Failed" in shown[-1]["data"]["text/html"]


def test_nothing_is_drawn_where_output_is_captured(notebook, monkeypatch):
    monkeypatch.setattr(notebook.shell, "kernel", object(), raising=False)
    assert isinstance(screen_of(notebook.shell, 1), FrontEnd)
    monkeypatch.setattr(notebook.shell, "display_pub", CapturingDisplayPublisher())
    assert screen_of(notebook.shell, 1) is None


CONSOLE = """
import sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.history_manager.enabled = False
shell.extension_manager.load_extension("firn")
shell.run_cell("import time")
shell.run_cell(sys.argv[1])
"""
LOUD = "%%parallel --chunk 1\nfor n in range(30):\n    time.sleep(0.1)\n    print('row', n)"


def test_a_cell_in_every_worker_says_how_many_are_done(notebook, monkeypatch):
    clock = Clock()
    progress = Progress(None, "--each", 3, clock, unit="worker")
    clock.now += 12
    assert str(progress) == "--each: 0 %, 0 of 3 workers done, 12 s so far"
    progress.add(2)
    assert progress.figures() == "2 of 3 workers done, 12 s so far"
    wall = Wall(Clock())
    wall.clock = lambda: 0.0  # type: ignore[assignment]
    wall.draw = lambda progress: wall.calls.append(str(progress))  # type: ignore[method-assign]
    monkeypatch.setattr("firn.notebook.screen_of", lambda shell, number: wall)
    notebook.ok("import firn\nfrom firn.progress import DELAY\ndone = firn.shared_field(0)")
    notebook.ok("""%%parallel --each
import time
if parallel.rank == 0:
    done.set(1)
else:
    while not done.get():
        time.sleep(0.01)
    time.sleep(DELAY + 0.5)
""")
    assert wall.calls[0].startswith("--each: ") and wall.calls[-1] == "clear"
    assert any(call.startswith("--each: 50 %, 1 of 2 workers done, ") for call in wall.calls)


def run_console(cell: str, stderr: int) -> subprocess.Popen[str]:
    environment = os.environ | {"FIRN_WORKERS": "2", "COLUMNS": "100"}
    return subprocess.Popen(
        [sys.executable, "-c", CONSOLE, cell], stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment
    )


def test_in_a_console_it_is_a_line_that_is_erased(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    process = run_console(LOUD, slave)
    os.close(slave)
    seen = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    out, _ = process.communicate(timeout=60)
    os.close(master)
    text = seen.decode()
    assert "of 30 iterations" in text and text.endswith("\r\x1b[K") and "\n" not in text
    for drawn in re.findall(r"\r([^\r]*)\x1b\[K", text):
        assert len(drawn) < 100 and (not drawn or "%" in drawn)
    assert [row for row in out.splitlines() if row.startswith("row")] == [f"row {n}" for n in range(30)]
    assert "%" not in out


def test_in_a_pipe_there_is_none() -> None:
    out, err = run_console(LOUD, subprocess.PIPE).communicate(timeout=60)
    assert err == "" and "of 30 iterations," not in out and "row 29" in out


@pytest.mark.parametrize("kernel", ["firn", "python3"])
def test_in_an_executed_notebook_nothing_of_it_stays(kernel, tmp_path, monkeypatch):
    monkeypatch.setenv("FIRN_WORKERS", "2")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    cells = ["%load_ext firn\nimport time", SLOW]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    seen: list[dict[str, Any]] = []
    client = nbclient.NotebookClient(book, kernel_name=kernel, timeout=120)
    handle = client.process_message

    def record(message: Any, *rest: Any, **more: Any) -> Any:
        if message["content"].get("transient", {}).get("display_id"):
            seen.append(message["content"]["data"])
        return handle(message, *rest, **more)

    client.process_message = record  # type: ignore[method-assign]
    client.execute()
    assert len(seen) >= 2 and seen[-1] == NOTHING and "of 32 iterations" in seen[0]["text/plain"]
    outputs = book.cells[1].outputs
    assert len(outputs) == 2 and outputs[0]["data"] == NOTHING
    assert "by pickle" in outputs[1]["data"]["text/html"] or "instead of" in outputs[1]["data"]["text/html"]


# ---- freezing, which stands still


class Point:
    def __init__(self, n: int) -> None:
        self.n, self.text = n, str(n)


DATA = {
    "rows": [{"id": n, "name": f"row {n}", "tags": [str(n), "x"]} for n in range(10_000)],
    "lists": [[n + 0.5 for n in range(100)] for _ in range(100)],
    "a dict": {str(n): (n + 1000, str(n)) for n in range(10_000)},
    "instances": [Point(n) for n in range(10_000)],
    "flat": [n + 1000 for n in range(100_000)],
    "deep": [[[[n + 1000, n + 2000] for n in range(10)] for _ in range(10)] for _ in range(50)],
    "few": [1, "two"],
    "none": [],
}


@pytest.mark.parametrize("name", DATA)
def test_how_much_there_is_to_freeze_is_estimated_from_a_sample(name):
    exact = _core.freeze_roots({"data": DATA[name]}).objects
    assert exact / 3 <= long_freezes.objects(DATA[name]) <= 3 * exact + 10


def test_the_estimate_runs_no_code_of_the_data():
    class Odd(list):
        def __len__(self):
            raise AssertionError

        __iter__ = __getitem__ = __getattribute__ = __len__

    assert long_freezes.objects([Odd([1, 2])] * 100) > 100


class Said:
    def __init__(self) -> None:
        self.log: list[str] = []

    def say(self, text: str) -> None:
        self.log.append(text)

    def clear(self) -> None:
        self.log.append("")


@pytest.fixture
def said(notebook, monkeypatch) -> Said:
    screen = Said()
    monkeypatch.setattr("firn.notebook.screen_of", lambda shell, number: screen)
    return screen


def test_a_long_freeze_is_announced_and_what_was_said_is_taken_back(notebook, said, monkeypatch):
    notebook.ok("rows = [[n, str(n)] for n in range(1000)]\nmore = rows[:10]")
    monkeypatch.setattr(long_freezes, "LARGE", 0)
    monkeypatch.setattr(long_freezes, "DELAY", 0.0)
    freeze_roots, seen = _core.freeze_roots, []
    monkeypatch.setattr(
        _core, "freeze_roots", lambda *given, **words: (seen.extend(said.log), freeze_roots(*given, **words))[1]
    )
    notebook.ok("%%parallel\nout = [row[0] for row in rows if row[0] < len(more)]")
    assert seen == ["freezing more, rows…"] and said.log == [*seen, ""]
    said.log.clear()
    notebook.ok("%%parallel --quiet\nout = [len(x) for x in [[1], [2]]]")
    assert said.log == []


def test_a_short_one_is_not(notebook, said):
    notebook.ok("rows = [[n, str(n)] for n in range(1000)]")
    notebook.ok("%%parallel\nout = [row[0] for row in rows]")
    assert said.log == []


def test_firn_freeze_announces_itself_where_somebody_looks(notebook, said, monkeypatch):
    monkeypatch.setattr("firn.long_freezes.screen_of", lambda shell, number: said)
    notebook.ok("import firn\nrows = [[n, str(n)] for n in range(1000)]\nfrozen = firn.freeze(rows)")
    assert said.log == []
    monkeypatch.setattr(long_freezes, "LARGE", 0)
    monkeypatch.setattr(long_freezes, "DELAY", 0.0)
    notebook.ok("frozen = firn.freeze(rows)\nfirn.share([*rows])")
    assert said.log == ["freezing rows…", "", "freezing this list…", ""]
    said.log.clear()
    error = notebook.fails("rows.append(open('/dev/null'))\nfirn.freeze(rows)")
    assert "open file" in str(error) and said.log == ["freezing rows…", ""]
    said.log.clear()
    notebook.ok("assert firn.freeze(frozen) is frozen and firn.freeze(5) == 5")
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: None)  # a script that IPython was imported in
    notebook.ok("firn.freeze([1, [2]])")
    assert said.log == []


def test_a_screen_that_fails_is_in_nobodys_way(notebook, said, monkeypatch):
    monkeypatch.setattr(long_freezes, "LARGE", 0)
    monkeypatch.setattr(long_freezes, "DELAY", 0.0)
    monkeypatch.setattr(Said, "say", lambda self, text: 1 / 0)
    monkeypatch.setattr(Said, "clear", lambda self: 1 / 0)
    notebook.ok("rows = [[n] for n in range(10)]")
    notebook.ok("%%parallel\nout = [row[0] for row in rows]")
    assert notebook["out"] == list(range(10))


def test_firn_freeze_asks_nothing_of_the_class_to_name_what_it_freezes(notebook, said, monkeypatch):
    monkeypatch.setattr("firn.long_freezes.screen_of", lambda shell, number: said)
    monkeypatch.setattr(long_freezes, "LARGE", 0)
    monkeypatch.setattr(long_freezes, "DELAY", 0.0)
    notebook.ok("""
import firn
asked = []
class Liar:
    def __init__(self):
        self.n = 1
    @property
    def __class__(self):
        asked.append(1)
        return int
frozen = firn.freeze(Liar())
assert not asked
""")
    assert said.log == ["freezing this Liar…", ""]
