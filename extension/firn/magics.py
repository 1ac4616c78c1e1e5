"""The magics: `%%parallel` (its manual, and what runs when no rewriting took place), `%parallel`, `%frozen`, `%thaw`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import firn
from firn import _core, background, each, errors, history, manual
from firn.frozen_table import FrozenTable
from firn.own_names import own_names
from firn.readable import plural
from firn.session import BACKGROUND, SESSION

if TYPE_CHECKING:
    from firn.anatomy import Anatomy
    from firn.notebook import Notebook


class Magics:
    """The magics of one notebook."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.shell = notebook.shell

    def parallel_cell(self, line: str, cell: str | None = None) -> Any:
        if cell is None:
            raise errors.not_transformed()
        self.shell.run_cell(f"%%parallel {line}\n{cell}").raise_error()  # type: ignore[no-untyped-call]

    def parallel_line(self, line: str) -> None:
        match line.split():
            case [] | ["status"]:
                print(state())
            case ["workers"]:
                print(SESSION.workers)
            case ["workers", number] if number.isdecimal() and int(number) >= 1:
                SESSION.resize(int(number))
                BACKGROUND.resize(int(number))
                print(f"{plural(int(number), 'worker')} from now on")
            case ["workers", *_]:
                raise errors.bad_option("%parallel", "workers takes a number from 1 upwards")
            case ["restart"]:
                each.WORKERS.reset()
                SESSION.restart()
                BACKGROUND.close()
                print(f"{plural(SESSION.workers, 'new worker')}: what the old ones had is gone")
            case ["reset"]:
                names = ", ".join(sorted(each.WORKERS.names))
                each.WORKERS.reset()
                print(f"forgotten in the workers: {names}" if names else "the workers had no variables of --each cells")
            case ["history"]:
                reports = firn.reports()
                data = {"text/plain": history.text(reports), "text/html": history.html(reports)}
                self.shell.display_pub.publish(data=data, metadata={})
            case ["restart" | "reset" | "history" as word, more, *_]:
                raise errors.nothing_follows("%parallel", word, more)
            case [word, *_]:
                raise errors.unknown_option("%parallel", word, ("workers", "restart", "reset", "history"))

    def frozen(self, line: str) -> None:
        if not line.strip():
            self._show(FrozenTable(self.shell.user_ns))
            return
        name = line.strip()
        if name.isidentifier() and name not in self.shell.user_ns:
            raise errors.no_variable("%frozen", name, own_names(self.shell))
        try:
            value = self.shell.ev(name)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise errors.cannot_look_at(name, error) from None
        if not _core.is_frozen(value):
            raise errors.nothing_frozen(name)
        from firn.anatomy import dissect

        self._show(dissect(value, name))

    def _show(self, shown: FrozenTable | Anatomy) -> None:
        data = {"text/plain": str(shown), "text/html": shown._repr_html_()}
        self.shell.display_pub.publish(data=data, metadata={})

    def thaw(self, line: str) -> None:
        names = line.replace(",", " ").split()
        if not names:
            raise errors.bad_option("%thaw", "it needs the name of a variable")
        for name in names:
            if name not in self.shell.user_ns:
                raise errors.no_variable("%thaw", name, own_names(self.shell))
            if not _core.is_frozen(self.shell.user_ns[name]):
                raise errors.not_frozen(name)
        self.shell.user_ns.update({name: firn.thaw(self.shell.user_ns[name]) for name in names})


Magics.parallel_cell.__doc__ = manual.CELL
Magics.parallel_line.__doc__ = manual.LINE
Magics.frozen.__doc__ = manual.FROZEN
Magics.thaw.__doc__ = manual.THAW


def state() -> str:
    """The pool in a few lines."""
    pool = SESSION.pool
    if pool is None:
        return f"{plural(SESSION.workers, 'worker')}, not started yet"
    every = pool.workers()
    workers = [worker for worker in every if worker["state"] != "abandoned"]
    abandoned = len(every) - len(workers)
    workers = [worker for worker in workers if worker["rank"] < pool.size]  # the others are about to end
    states = [worker["state"] for worker in workers]
    if len(set(states)) == 1:
        shown = states[0] if len(states) == 1 else f"all {states[0]}"
    else:
        shown = ", ".join(f"worker {worker['rank']} {worker['state']}" for worker in workers)
    lines = [f"{plural(len(workers), 'worker')}: {shown}"]
    if abandoned:
        lines.append(f"{abandoned} more did not stop when asked to, and may still be at work (they were replaced)")
    lines += [f"in the background: {job!r}" for job in background.ACTIVE]
    if each.WORKERS.names:
        lines.append(f"variables of the workers: {', '.join(sorted(each.WORKERS.names))}")
    return "\n".join(lines)


def register(notebook: Notebook) -> None:
    """Adds the magics to the shell, with their manuals for `?`."""
    magics = Magics(notebook)
    register_function = notebook.shell.magics_manager.register_function
    register_function(magics.parallel_cell, "cell", "parallel")
    register_function(magics.parallel_line, "line", "parallel")
    register_function(magics.frozen, "line", "frozen")
    register_function(magics.thaw, "line", "thaw")


def unregister(notebook: Notebook) -> None:
    known = notebook.shell.magics_manager.magics
    known["cell"].pop("parallel", None)
    for name in ("parallel", "frozen", "thaw"):
        known["line"].pop(name, None)
