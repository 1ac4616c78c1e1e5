"""The magics: `%%parallel` (its manual, and what runs when no rewriting took place), `%parallel`, `%frozen`, `%thaw`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import firn
from firn import _core, background, each, errors, history, options
from firn.lifetime import holders
from firn.readable import count, size
from firn.session import BACKGROUND, SESSION

if TYPE_CHECKING:
    from firn.notebook import Notebook

MANUAL = f"""Runs the cell on all cores and gives the result of the serial cell.

  %%parallel [options]

Every for loop and comprehension at the top of the cell whose iterations do not depend on each other is split among the
workers; everything else runs in the notebook as usual:

  %%parallel
  hits  = [p for p in packages if pattern.search(p["Description"])]
  total = sum(int(p["Size"]) for p in packages)
  by_section = Counter()
  for p in packages:
      by_section[p["Section"]] += 1

The variables that the loops read are frozen (they can be read as before, but not changed: firn.thaw gives a copy that
can) and all workers read them where they are. A loop that cannot give the serial cell's result is refused before
anything runs, with the line and the reason. A card below the cell says what was split and what that saved.

Options:
{options.describe()}

With --each, or when the cell uses parallel.rank, parallel.size or parallel.split(sequence), the whole cell runs once in
every worker. Names that it assigns stay in that worker for later such cells; --gather brings them back as lists.

With --background the cell returns at its first split loop, which goes on in workers of its own while other cells run:

  %%parallel --background job
  hits = [p for p in packages if pattern.search(p["Description"])]
  len(hits)

The loop reads its variables as they are now. When it has ended, its effects are merged and the statements after it run:
between two cells, or when the handle is asked, never in the middle of another cell. job.result() or `await job` waits and
gives the value of the last expression, or raises what the cell raised; job.done(), job.progress, job.cancel(), job.report.

See also: %parallel (state and settings of the workers), %frozen, %thaw, firn.last_report().
"""

# Front ends that ask about `%%parallel` by Shift-Tab get this text, for they leave out the percent signs.
LINE_MANUAL = f"""Shows the workers, or changes them; the cell magic %%parallel runs a cell in them, see below.

  %parallel              the workers and what they do
  %parallel workers N    use N workers from now on
  %parallel restart      close all workers and start new ones
  %parallel reset        forget the variables that --each cells left in the workers
  %parallel history      the figures of this session's parallel cells, a row each

%%parallel: {MANUAL[0].lower()}{MANUAL[1:]}"""

FROZEN_MANUAL = """Lists the frozen variables: name, type, objects, bytes, the cell that froze them, when, and where they are.

  %frozen           all of them
  %frozen rows      where the memory of one goes: the objects and bytes of each path and type in it

Objects and bytes are those of all that was frozen together with the variable. What no variable is bound to any more
retires at the end of a cell: it moves from memory to files without a name in the folder FIRN_SPOOL (else TMPDIR, else
/var/tmp), and everything that still refers to it reads on. It stays there when a variable is bound to it again.
"""

THAW_MANUAL = """Gives variables a copy of their frozen value that can be changed.

  %thaw NAME...
"""


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
            case []:
                print(state())
            case ["workers"]:
                print(SESSION.workers)
            case ["workers", number] if number.isdecimal() and int(number) >= 1:
                SESSION.resize(int(number))
                BACKGROUND.resize(int(number))
            case ["workers", *_]:
                raise errors.bad_option("%parallel", "workers takes a number from 1 upwards")
            case ["restart"]:
                each.WORKERS.reset()
                SESSION.restart()
                BACKGROUND.close()
            case ["reset"]:
                each.WORKERS.reset()
            case ["history"]:
                reports = firn.reports()
                data = {"text/plain": history.text(reports), "text/html": history.html(reports)}
                self.shell.display_pub.publish(data=data, metadata={})
            case [word, *_]:
                raise errors.unknown_option("%parallel", word, ("workers", "restart", "reset", "history"))

    def frozen(self, line: str) -> None:
        if not line.strip():
            print(frozen_table(self.shell.user_ns))
            return
        name = line.strip()
        if name.isidentifier() and name not in self.shell.user_ns:
            raise errors.no_variable("%frozen", name, self.shell.user_ns)
        value = self.shell.ev(name)  # type: ignore[no-untyped-call]
        if not _core.is_frozen(value):
            raise errors.nothing_frozen(name)
        from firn.anatomy import dissect

        anatomy = dissect(value, name)
        data = {"text/plain": str(anatomy), "text/html": anatomy._repr_html_()}
        self.shell.display_pub.publish(data=data, metadata={})

    def thaw(self, line: str) -> None:
        names = line.replace(",", " ").split()
        if not names:
            raise errors.bad_option("%thaw", "it needs the name of a variable")
        for name in names:
            if name not in self.shell.user_ns:
                raise errors.no_variable("%thaw", name, self.shell.user_ns)
            if not _core.is_frozen(self.shell.user_ns[name]):
                raise errors.not_frozen(name)
        self.shell.user_ns.update({name: firn.thaw(self.shell.user_ns[name]) for name in names})


Magics.parallel_cell.__doc__ = MANUAL
Magics.parallel_line.__doc__ = LINE_MANUAL
Magics.frozen.__doc__ = FROZEN_MANUAL
Magics.thaw.__doc__ = THAW_MANUAL


def state() -> str:
    """The pool in a few lines."""
    pool = SESSION.pool
    if pool is None:
        return f"{SESSION.workers} workers, not started yet"
    workers = [worker for worker in pool.workers() if worker["state"] != "abandoned"]
    abandoned = len(pool.workers()) - len(workers)
    states = ", ".join(f"{worker['rank']} {worker['state']}" for worker in workers)
    lines = [f"{len(workers)} worker{'s' if len(workers) != 1 else ''}: {states}"]
    if abandoned:
        lines.append(f"{abandoned} more did not stop when asked to, and may still be at work (they were replaced)")
    lines += [f"in the background: {job!r}" for job in background.ACTIVE]
    if each.WORKERS.names:
        lines.append(f"variables of the workers: {', '.join(sorted(each.WORKERS.names))}")
    return "\n".join(lines)


_WHERE = {"memory": "memory", "moving": "memory, moving to a file", "file": "file", "kept": "memory, retired"}


def frozen_table(namespace: dict[str, Any]) -> str:
    """The table of %frozen, and a line on what retired."""
    held = holders(namespace)
    rows = []
    retired = dict.fromkeys(_WHERE, 0)
    for segment in _core.segments():
        holding = held.get(segment["id"])
        if not holding:
            retired[segment["backing"]] += segment["bytes"]
            continue
        names = [name for name in segment["names"] if name in holding] or holding
        kinds = ", ".join(dict.fromkeys(type_name(namespace[name]) for name in names))
        since = time.strftime("%H:%M:%S", time.localtime(segment["time"]))
        numbers = count(segment["objects"]), size(segment["bytes"])
        rows.append((", ".join(names), kinds, *numbers, segment["cell"], since, _WHERE[segment["backing"]]))
    lines = ["nothing is frozen"]
    if rows:
        head = ("name", "type", "objects", "size", "cell", "since", "where")
        widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
        lines = ["  ".join(map(str.ljust, row, widths, strict=True)).rstrip() for row in [head, *rows]]
    if retired["file"] or retired["moving"]:
        moving = f", {size(retired['moving'])} on the way there" if retired["moving"] else ""
        lines.append(f"retired: {size(retired['file'])} in files{moving}")
    problem = _core.spool_problem()
    if retired["kept"] and problem:
        lines.append(f"retired, in memory: {size(retired['kept'])}; {errors.cannot_spool(*problem)}")
    return "\n".join(lines)


def type_name(value: object) -> str:
    """The type that a value reads as: a frozen list is a list."""
    return value.__class__.__name__


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
