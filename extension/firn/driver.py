"""Runs the split loops of one cell: freezes what they read, hands out the work, merges the effects.

One `Run` belongs to one execution of a cell and is used by the thread that runs the cell.
"""

from __future__ import annotations

import ast
import linecache
import random
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import CodeType
from typing import Any

import firn
from firn import _core, background, brief, errors, jobs, lazy, modules, shipping, slowest, views
from firn.account import Account
from firn.analysis import CellPlan, Refusal, SplitLoop
from firn.compare import Comparison
from firn.items import Items, Taken, as_items, slice_items
from firn.jobs import Outcome
from firn.names import ShippingRefusal
from firn.options import Options
from firn.progress import Bars, Progress, Screen
from firn.raised import TRACEBACK, Found, reraise, without_firn
from firn.readable import a
from firn.report import Loop, Report
from firn.session import BACKGROUND, Session

PARTS = 64
"""Of a loop whose sums may be added up in parts."""

type Result = tuple[BaseException | None, Any]
"""(error, value): what the cell's line raises or gets."""


def unseen_name(error: BaseException) -> str:
    """The global that a worker's code looked for by a word (eval, getattr on __main__), where an error says so."""
    if isinstance(error, ShippingRefusal) or not isinstance(error, NameError | AttributeError):
        return ""
    found = re.fullmatch(r"name '(\w+)' is not defined|module '__main__' has no attribute '(\w+)'", str(error))
    return found[1] or found[2] if found else ""


@dataclass
class Started:
    """A split loop that the workers are at."""

    loop: SplitLoop
    entry: Loop
    shipment: shipping.Shipment  # what it holds lives until the results are merged
    job: _core.Job
    progress: Progress
    deadline: float | None
    prepare_seconds: float
    find: Callable[[int], Found]
    apart: bool = False  # the chunks' effects are looked at one by one
    unread: Exception | None = None  # what the iterator raised after the items
    skipped: int = 0  # iterations that ran in the notebook, with these effects
    effects: list[Any] = field(default_factory=list)
    queued: float | None = None  # since when it waits for the workers that are at other jobs
    # What has been frozen. It goes while the workers run, for giving back millions of objects takes its time; but not before
    # they have begun: to load modules, they need the GIL that it keeps.
    originals: list[object] = field(default_factory=list)

    def run(self) -> Outcome:
        """Waits for it, from any thread."""
        return jobs.run(
            self.job,
            decided=self.loop.decided,
            deadline=self.deadline,
            write=jobs.to_notebook,
            failed=jobs.own_failure(self.loop.what, self.loop.lineno),
            progress=self.progress,
            find=self.find,
            skipped=self.skipped,
            gathered=None if self.apart else self.loop.gathered,
            begun=self.originals.clear,
        )

    @property
    def done_and_all(self) -> tuple[int, int]:
        return self.progress.done, self.progress.total


@dataclass
class Run:
    """One execution of a parallel cell. `source` and `filename` are the cell's as the notebook shows it."""

    number: int
    cell: int | None
    options: Options
    source: str
    filename: str
    namespace: dict[str, Any]
    session: Session
    comparison: Comparison
    screens: Callable[[int], Screen | None]
    tree: ast.Module
    plan: CellPlan | None = None
    code: CodeType | None = None  # of a background cell
    account: Account = field(default_factory=Account)
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self.report.cell = self.cell
        self._together: set[str] = set()  # variables that have objects in common with copied ones
        self._taken: Taken | None = None
        self._bars = Bars()
        self.deadline = None if self.options.timeout is None else time.monotonic() + self.options.timeout

    @property
    def report(self) -> Report:
        return self.account.report

    @property
    def copied(self) -> frozenset[str]:
        """The variables of which the workers get copies: those that the user named, and those that the cell changes."""
        changed = frozenset(self.plan.mutated_later) if self.plan is not None else frozenset()
        return self.options.copy | changed | self._together

    @cached_property
    def screen(self) -> Screen | None:
        """Where the progress of this cell's loops is seen, one after the other."""
        return None if self.options.quiet else self.screens(self.number)

    @property
    def label(self) -> str:
        """How messages name this cell."""
        return "" if self.cell is None else f"[{self.cell}]"

    def refuse(self) -> Result:
        """The error that was found before anything ran."""
        return self.error, None

    def split(self, index: int, handed: list[Any]) -> Result:
        """Runs a split loop over the one iterable in a list, and merges it into the notebook; nothing of a failed loop is
        merged. No frame keeps the iterable: when it is frozen, the original is to go while the workers run."""
        assert self.plan is not None
        loop = self.plan.loops[index]
        entry = self._enter(loop)
        try:
            value = self._split(loop, entry, handed)
            if self._taken is not None:
                self._taken.use_up()
            return None, value
        except BaseException as error:
            self._give_back(error)
            return self.failed(error, loop.lineno, entry), None
        finally:
            self._taken = None
            self._bars.close()
            self.account.leave(entry)

    def _give_back(self, error: BaseException) -> None:
        """Leaves an iterator of the notebook's, and the user's bars, behind the iteration that failed; where none did, nothing
        was read."""
        details = object.__getattribute__(error, "__dict__").get("worker_error")
        failed = None if details is None else details.index
        self._bars.close(failed)
        if self._taken is not None:
            for name in self._taken.leave(0 if failed is None else failed + 1, self.namespace):
                self.note(errors.goes_on(name))

    async def split_apart(self, index: int, handed: list[Any]) -> Result:
        """The same in a background cell, which goes on when the loop has ended."""
        assert self.plan is not None
        loop = self.plan.loops[index]
        entry = self._enter(loop)
        try:
            items = self._read(loop, entry, handed.pop())
            if not entry.items:
                return None, self._merge(loop, entry, [], items.error)
            with self.session.turn(), background.pool_session().turn() as pool:
                behind = background.at_work()
                started = self._start(loop, entry, items, pool, None)
                started.queued = time.perf_counter() if behind else None
            del items
            watched = background.Watched(started)
            outcome = await watched
            entry.unmerged_seconds = time.perf_counter() - watched.ended_at
            if isinstance(outcome.error, RuntimeError) and BACKGROUND.pool is not pool:
                raise errors.restarted(loop.lineno, self.source)
            self._account_for(started, outcome)
            return None, self._ended(started, outcome)
        except GeneratorExit:
            raise
        except BaseException as error:
            self._give_back(error)
            return self.failed(error, loop.lineno, entry), None
        finally:
            self._bars.close()
            self.account.leave(entry)

    def _enter(self, loop: SplitLoop) -> Loop:
        return self.account.enter(loop.lineno, loop.what, loop.source, "split", loop.index)

    def _split(self, loop: SplitLoop, entry: Loop, handed: list[Any]) -> Any:
        items = self._read(loop, entry, handed.pop(), self.namespace)
        if not entry.items:
            return self._merge(loop, entry, [], items.error)
        effects: list[Any] = []
        if loop.shows and not self._wants_workers and len(items) <= brief.ITERATIONS:
            effects, items = brief.run(loop, items, self.namespace, partial(self._find, loop, items, 0))
            self._bars.add(entry.items - len(items))
            if not len(items):
                self.account.was_short(entry)
                return self._merge(loop, entry, effects, items.error)
        asked = time.perf_counter()
        with self.session.turn() as pool:
            entry.turn_seconds = time.perf_counter() - asked
            started = self._start(loop, entry, items, pool, self.screen)
            started.effects = effects
            del items
            outcome = started.run()
            self._account_for(started, outcome)
            if outcome.error is None and self.options.compare == "full":
                self._compare(loop, entry, outcome, started.shipment)
        return self._ended(started, outcome)

    def _read(self, loop: SplitLoop, entry: Loop, iterable: Any, namespace: dict[str, Any] | None = None) -> Items:
        """What the loop runs over, which is refused if it could not run over it in parallel. In the background, iterators
        are used up at once, for other cells may use them meanwhile; else those in the namespace are not."""
        loop.check(self.namespace, iterable)
        modules.check_imports(modules.body_at(self.tree, loop.lineno), self.filename)
        began = time.perf_counter()
        watch = lazy.Watch(loop, self.namespace, partial(self._look, loop))
        items = as_items(iterable, self._look_at_deadline, namespace, watch)
        self._taken = items.taken
        watch.check()
        entry.read_seconds = time.perf_counter() - began
        del iterable
        entry.items = len(items)
        self._bars = Bars(items.bars)
        if items.note:
            self.note(items.note)
        return items

    def _look(self, loop: SplitLoop) -> None:
        """Refuses what `_prepare` will refuse, as far as it can be known without the items."""
        shipping.look(loop.names, self.namespace, code=loop.code_for(self.namespace), copy=self.copied, deep=False)

    def _look_at_deadline(self) -> None:
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise jobs.Deadline

    def _start(self, loop: SplitLoop, entry: Loop, items: Items, pool: _core.Pool, screen: Screen | None) -> Started:
        """Freezes what a loop reads and gives it to the workers."""
        began, worked = time.perf_counter(), time.thread_time()
        starting = jobs.let_start(pool)
        shipment = self._prepare(loop, items, screen)
        self._together |= shipment.figures.together
        originals = self.rebind(shipment)
        shipped = len(items)
        entry.offered = min(self.workers_of(pool.size), shipped)
        job = pool.submit(shipment.setup, shipped, chunk=self._chunk(shipped), workers=self.options.workers)
        submitted, worked = time.perf_counter(), time.thread_time() - worked
        self.add_shipment(shipment, entry, loop.read)
        originals.append(items)
        progress = Progress(None if self._bars.seen else screen, loop.what, entry.items, bars=self._bars)
        find = partial(self._find, loop, shipment.items, entry.items - shipped)
        prepare = submitted - began
        if starting:  # they take CPUs and locks from the notebook's thread: that is the price of their start
            prepare = max(worked, shipment.figures.seconds)
        apart = self.options.compare == "full"
        skipped = entry.items - shipped
        return Started(
            *(loop, entry, shipment, job, progress, self.deadline, prepare, find, apart, items.error, skipped),
            originals=originals,
        )

    def _ended(self, started: Started, outcome: Outcome) -> Any:
        """Merges what the workers brought; raises what the loop raised."""
        if outcome.error is not None:
            reraise(outcome.error)
        effects = started.effects + [chunk.effects for chunk in outcome.chunks]
        return self._merge(started.loop, started.entry, effects, started.unread)

    def _chunk(self, iterations: int) -> int:
        """How many iterations to hand out at a time; 0: as it comes."""
        if self.options.reassociate and not self.options.chunk:
            return -(-iterations // PARTS) or 1  # sums in parts depend on where the parts end: not on the clock
        return self.options.chunk

    @property
    def _wants_workers(self) -> bool:
        """Whether the cell says how to hand out its loops, however short they are."""
        return bool(self.options.chunk or self.options.workers) or self.options.compare == "full"

    def _account_for(self, started: Started, outcome: Outcome) -> None:
        self.account.add_outcome(started.entry, outcome, started.prepare_seconds)
        if started.queued is not None and outcome.spans:
            turn = min(done.began - done.setup_seconds for done in outcome.spans)
            started.entry.turn_seconds += max(0.0, turn - started.queued)
        self.account.add_items(started.entry, started.shipment.items, started.skipped)

    def _prepare(self, loop: SplitLoop, items: Items, screen: Screen | None) -> shipping.Shipment:
        assert self.plan is not None
        return shipping.prepare(
            loop.names,
            self.namespace,
            code=loop.code_for(self.namespace),
            items=items,
            copy=self.copied,
            besides=loop.besides,
            label=self.label,
            seed=self.seed_of(loop.index),
            screen=lambda: screen,
        )

    def seed_of(self, index: int) -> int | None:
        """The seed of one of the cell's loops, for two loops are not to get the same numbers; None without --seed."""
        seed = self.options.seed
        return None if seed is None else random.Random(seed << 32 | index).getrandbits(64)

    def _find(self, loop: SplitLoop, items: Items | None, skipped: int, index: int) -> Found:
        """What a failing iteration was about; `items` are those after the `skipped` first ones."""
        assert items is not None
        try:
            [item] = slice_items(items.shared, index - skipped, index - skipped + 1)
        except Exception:  # a class of the user's may do anything; the iteration has its number
            return Found("", None, {}, self.namespace)
        with suppress(Exception):
            return Found(f"{loop.target} = {slowest.short(item)}", item, loop.variables(item), self.namespace)
        return Found("", item, loop.variables(item), self.namespace)

    def _compare(self, loop: SplitLoop, entry: Loop, outcome: Outcome, shipment: shipping.Shipment) -> None:
        """Runs the loop in other pools, while the cell's clock stands still; before it is merged, for it may change what
        it reads."""
        began = time.perf_counter()
        try:
            self._run_elsewhere(loop, entry, outcome, shipment)
        finally:
            paused = time.perf_counter() - began
            self.account.began += paused
            if self.deadline is not None:
                self.deadline += paused

    def _run_elsewhere(self, loop: SplitLoop, entry: Loop, outcome: Outcome, shipment: shipping.Shipment) -> None:
        """All that is there for the comparison only, from the import to giving back the copies."""
        from firn import peers

        assert shipment.items is not None
        chunks = [(chunk.start, chunk.stop, chunk.effects) for chunk in outcome.chunks]
        busy, place = entry.busy_seconds, len(self.report.loops) - 1
        task = peers.Task(
            loop, shipment.items, self.namespace, chunks, entry.offered, busy, shipment.figures.random, place
        )
        with jobs.interruptible():
            try:
                self.report.peers += peers.compare(task)
            except KeyboardInterrupt:
                raise KeyboardInterrupt("while --compare full ran the loop in other pools") from None

    def _merge(self, loop: SplitLoop, entry: Loop, effects: list[Any], unread: Exception | None) -> Any:
        if unread is not None and not any(map(loop.decided, effects)):
            self._taken = None  # it has come to its end
            reraise(unread)
        began = time.perf_counter()
        try:
            return loop.finish(effects, self.namespace)
        finally:
            entry.merge_seconds += time.perf_counter() - began
            for name, kind in loop.lost.items():
                self.note(f"{name} is unbound after the loop: its last value, {a(kind)}, stayed in a worker")

    def rebind(self, shipment: shipping.Shipment) -> list[object]:
        """Binds the notebook's variables to the frozen forms; the originals."""
        originals = shipment.bind(self.namespace)
        if names := views.lock(self.namespace, originals):
            self.note(errors.views_are_locked(names))
        return originals

    def add_shipment(self, shipment: shipping.Shipment, entry: Loop, read: frozenset[str] = frozenset()) -> None:
        """Writes down what was frozen, reused, copied and shipped; `read` are the names that what is run over has."""
        self.account.add_shipment(shipment, entry, self.namespace, self.options, self.copied, read)

    def failed(self, error: BaseException, line: int, entry: Loop) -> BaseException:
        """Writes a failure down; what the cell's line raises for it."""
        raised = self._as_raised(error, line)
        self.account.loop_failed(entry, raised)
        return raised

    def _as_raised(self, error: BaseException, line: int) -> BaseException:
        """What the cell's line raises for an error: without firn's frames, and in plain words where firn raised it."""
        if isinstance(error, jobs.Deadline):
            assert self.options.timeout is not None
            return errors.timed_out(self.options.timeout, line, self.source, self.report.way == "each")
        error = modules.refused_at_work(error) or error
        source = self.source
        if isinstance(error, ShippingRefusal) and error.filename not in ("", self.filename):
            source = "".join(linecache.getlines(error.filename))  # a function of another cell
        if isinstance(error, Refusal):
            error = errors.refused(error.line, error.reason, error.remedy, name=error.name)
        if isinstance(error, (errors.CellError, ShippingRefusal, firn.NotFreezableError)):
            error = errors.shown_plainly(error, line, source)
        changed = frozenset().union(*(loop.changed for loop in self.plan.loops)) if self.plan is not None else ()
        if (name := unseen_name(error)) in self.namespace and name not in changed:
            error.add_note(errors.not_shared(name))
        without_firn(error)
        top = TRACEBACK(error)
        if top is not None and top.tb_lineno == line and top.tb_frame.f_code.co_filename == self.filename:
            BaseException.with_traceback(
                error, top.tb_next
            )  # the cell's own frame, which raises it, is on this very line
        return error

    def workers_of(self, size: int) -> int:
        """How many workers of a pool the cell gets; a note where it asked for more than there are."""
        wanted = self.options.workers or size
        if wanted > size:
            self.note(errors.fewer_workers(wanted, size))
        return min(wanted, size)

    def note(self, text: str) -> None:
        self.account.note(text)

    def finish(self) -> Report:
        """Closes the report at the cell's end."""
        return self.account.close(self.options, self.plan, self._together, self.comparison)
