"""The progress of what takes longer than a second: of a split loop how much is done, how quickly, and how long it will
take; of an `--each` cell how many workers are done.

It is drawn by the thread that waits for the workers, between two of their results, and at most a few times a second. The
workers know nothing of it and never wait for it; a screen that fails is not asked again.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from html import escape
from typing import Any, Final, Protocol

from firn.readable import plural, seconds

DELAY: Final = 1.0
"""Seconds before there is anything to see."""

INTERVAL: Final = 0.25
"""Seconds between two drawings, at least."""

PATIENCE: Final = 20
"""A drawing that took a while is followed by a pause of so many times as long."""


_FONT: Final = (
    "max-width:820px;margin:4px 0;font:12px var(--jp-ui-font-family,system-ui,sans-serif);"
    "color:var(--jp-ui-font-color1,inherit)"
)


NOTHING: Final = {"text/plain": "", "text/html": ""}
"""An output that is empty; nbconvert warns of one that has no form at all."""


class Screen(Protocol):
    """Where progress is seen."""

    def draw(self, progress: Progress) -> None: ...
    def say(self, text: str) -> None:
        """What goes on, where there is no telling how much of it is done."""

    def step_aside(self, text: str) -> None:
        """Some output of the loop comes now."""

    def clear(self) -> None:
        """Nothing of the progress is to be seen any more."""


class Bars:
    """Bars of tqdm's around what a loop runs over: the user's own, which show how far it is."""

    def __init__(self, bars: Iterable[Any] = ()) -> None:
        self._bars = list(bars)
        self.seen = not all(getattr(bar, "disable", True) for bar in self._bars)

    def add(self, items: int) -> None:
        for bar in [*self._bars]:
            try:
                bar.update(items)
            except Exception:
                self._bars.remove(bar)

    def close(self, failed: int | None = None) -> None:
        """The loop is over; `failed` is the iteration that failed."""
        bars, self._bars = self._bars, []
        for bar in bars:
            with suppress(Exception):
                if failed is not None:
                    bar.n = bar.initial + failed
                bar.close()


class Progress:
    """The progress of one loop; nothing is seen without a screen. Belongs to the thread that waits for the workers."""

    def __init__(
        self,
        screen: Screen | None,
        what: str,
        total: int,
        clock: Callable[[], float] = time.perf_counter,
        unit: str = "iteration",
        bars: Bars | None = None,
    ) -> None:
        self._bars = bars or Bars()
        self.what, self.total, self.done, self.unit = what, total, 0, unit
        self._screen: Screen | None = screen
        self._clock = clock
        self._began = clock()
        self._next = self._began + DELAY
        self._seen = False

    @property
    def elapsed(self) -> float:
        """Seconds since the loop began."""
        return self._clock() - self._began

    @property
    def left(self) -> float | None:
        """Seconds that it will still take if the rest is as quick; None as long as nothing is done."""
        return self.elapsed / self.done * (self.total - self.done) if self.done else None

    def wait(self, limit: float | None) -> float | None:
        """For how many seconds to wait for the workers until there is something to draw; `limit` at most."""
        if self._screen is None:
            return limit
        left = max(0.0, self._next - self._clock())
        return left if limit is None else min(left, limit)

    def add(self, items: int) -> None:
        self.done += items
        self._bars.add(items)

    def look(self) -> None:
        """Draws if it is time to."""
        if self._screen is None or (now := self._clock()) < self._next:
            return
        try:
            self._seen = True
            self._screen.draw(self)
        except Exception:
            self._screen = None
        self._next = self._clock() + max(INTERVAL, PATIENCE * (self._clock() - now))

    def step_aside(self, text: str) -> None:
        """Output of the loop follows."""
        if self._screen is not None and self._seen:
            try:
                self._screen.step_aside(text)
            except Exception:
                self._screen = None

    def close(self) -> None:
        """The loop is over: nothing stays to be seen."""
        screen, self._screen = self._screen, None
        if screen is not None and self._seen:
            try:
                screen.clear()
            except Exception:
                return

    def __str__(self) -> str:
        return f"{self.what}: {self.percent} %, {self.figures()}"

    @property
    def percent(self) -> int:
        return 100 * self.done // max(1, self.total)

    def figures(self) -> str:
        """4,500 of 10,000 iterations, 1,234 per second, 4.5 s left; 1 of 2 workers done, 12 s so far."""
        parts = [f"{self.done:,} of {plural(self.total, self.unit)}"]
        if self.unit == "worker":  # all began at once: the first that is done says nothing of the others
            return f"{parts[0]} done, {coarse(self.elapsed)} so far"
        if self.left is not None and self.elapsed > 0:
            rate = self.done / self.elapsed
            parts.append(f"{rate:,.0f} per second" if rate >= 9.5 else f"{seconds(1 / rate)} each")
            parts.append(f"{coarse(self.left)} left")
        return ", ".join(parts)


def coarse(value: float) -> str:
    """A guess of a time, in whole seconds or minutes: 4 s, 3 min 10 s, 2 h 5 min."""
    if value < 60:
        return f"{max(1, round(value))} s"
    if value < 3600:
        return f"{int(value / 60)} min {round(value % 60 / 10) * 10 % 60} s"
    return f"{int(value / 3600)} h {int(value % 3600 / 60)} min"


class FrontEnd:
    """A notebook's front end: one output of the cell, which is updated, and at last emptied."""

    def __init__(self, publish: Callable[..., None], number: int | str) -> None:
        self._publish = publish
        self._id = f"firn-progress-{os.getpid()}-{number}"
        self._shown = False

    def draw(self, progress: Progress) -> None:
        self._show({"text/plain": str(progress), "text/html": html(progress)})

    def say(self, text: str) -> None:
        self._show({"text/plain": text, "text/html": f"<div style='{_FONT}'>{escape(text)}</div>"})

    def step_aside(self, text: str) -> None:
        pass  # output has a place of its own

    def clear(self) -> None:
        self._show(NOTHING)

    def _show(self, data: dict[str, str]) -> None:
        self._publish(data=data, metadata={}, transient={"display_id": self._id}, update=self._shown)
        self._shown = True


class Terminal:
    """The last line of a console, which gives way to output and is erased at the end."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._drawn = False
        self._clean = True  # the cursor is at the start of a line, as far as the loop's output goes

    def draw(self, progress: Progress) -> None:
        self._write(lambda columns: line(progress, columns))

    def say(self, text: str) -> None:
        self._write(lambda columns: text[:columns])

    def _write(self, text: Callable[[int], str]) -> None:
        if not self._clean or not select.select([], [self._stream], [], 0)[1]:
            return  # somebody's line would be overwritten; or a terminal that takes nothing more (Ctrl-S)
        sys.stdout.flush()
        columns = os.get_terminal_size(self._stream.fileno()).columns or 80  # 0: a terminal that was told nothing
        self._stream.write(f"\r{text(columns - 1)}\x1b[K")
        self._stream.flush()
        self._drawn = True

    def step_aside(self, text: str) -> None:
        self._clean = text.endswith("\n")
        self.clear()

    def clear(self) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn = False


def line(progress: Progress, columns: int) -> str:
    """The progress in one line of at most so many characters; with a bar where there is room."""
    text = f"{progress.percent:3} % {progress.figures()}"
    room = min(30, columns - len(text) - 3)
    if room >= 5:
        full = room * progress.done // max(1, progress.total)
        text = f"[{'#' * full}{'.' * (room - full)}] {text}"
    return text[: max(0, columns)]


def html(progress: Progress) -> str:
    """The progress as a bar, in the colours of JupyterLab's theme where there is one."""
    width = 100 * progress.done / max(1, progress.total)
    return (
        f"<div style='{_FONT}'>"
        f"<div role='progressbar' aria-valuenow='{progress.percent}' aria-valuemin='0' aria-valuemax='100' "
        "style='height:6px;border-radius:3px;background:rgba(128,128,128,.2);overflow:hidden'>"
        f"<div style='height:100%;width:{width:.1f}%;background:var(--jp-brand-color1,#2480b9)'></div></div>"
        "<div style='display:flex;justify-content:space-between;gap:12px;margin-top:3px;font-variant-numeric:tabular-nums'>"
        f"<span>{progress.what} · {progress.percent} %</span><span style='opacity:.7'>{progress.figures()}</span></div></div>"
    )


def screen_of(shell: Any, number: int | str) -> Screen | None:
    """Where the cells of a shell can show their progress: in a kernel its front end, else the terminal; None in a pipe,
    and where output is being captured."""
    from IPython.core.displaypub import CapturingDisplayPublisher

    if isinstance(shell.display_pub, CapturingDisplayPublisher):
        return None
    if getattr(shell, "kernel", None) is not None:
        return FrontEnd(shell.display_pub.publish, number)
    try:
        return Terminal(sys.stderr) if sys.stderr.isatty() and sys.stderr.fileno() >= 0 else None
    except AttributeError, OSError, ValueError:
        return None
