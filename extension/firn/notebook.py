"""What firn adds to one IPython shell: the cell transformation, the magics, the completion, and the report at a cell's end."""

from __future__ import annotations

import ast
import itertools
import linecache
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection
from typing import Any, Final

from IPython.core.interactiveshell import InteractiveShell

import firn
from firn import _core, analysis, background, each, errors, modules, options, recompiling, settings, tracing, transform
from firn.analysis.scopes import stored
from firn.analysis.type_calls import TypeCalls
from firn.compare import Comparison
from firn.driver import Result, Run
from firn.kept_reports import Kept
from firn.lifetime import LIFETIME
from firn.options import Options
from firn.own_names import own_names
from firn.progress import screen_of
from firn.report import Report
from firn.session import SESSION

NAME = "__firn__"
MODULE = "firn"
ALIVE = 8  # runs that no cell's end tells of (%%time, silent cells) are forgotten after so many others


class Calls:
    """The notebook's `__firn__`: what the rewritten cells call."""

    outcome = staticmethod(_core.outcome)

    def __init__(self, ended_apart: Callable[[Run], Kept], between_cells: Callable[[], object]) -> None:
        self._ended_apart, self._between_cells = ended_apart, between_cells
        self._apart: dict[int, Run] = {}
        self._runs: dict[int, Run] = {}
        self._order: deque[int] = deque()

    def add(self, run: Run) -> None:
        self._runs[run.number] = run
        self._order.append(run.number)
        while len(self._order) > ALIVE:
            self._runs.pop(self._order.popleft(), None)

    def split(self, number: int, index: int, iterable: Any) -> Result:
        handed = [iterable]
        del iterable
        return self._runs[number].split(index, handed)

    def background(self, number: int) -> Result:
        run = self._apart[number] = self._runs[number]
        job = background.BackgroundJob(run.options.background, run, self._ended, self._between_cells)
        try:
            job.start()
        except BaseException as error:
            return error, None
        return None, job

    async def split_apart(self, number: int, index: int, iterable: Any) -> Result:
        handed = [iterable]
        del iterable
        return await self._apart[number].split_apart(index, handed)

    def _ended(self, run: Run) -> Kept:
        self._apart.pop(run.number, None)
        return self._ended_apart(run)

    def each(self, number: int) -> Result:
        return each.run(self._runs[number])

    def refuse(self, number: int) -> Result:
        return self._runs[number].refuse()

    def __repr__(self) -> str:
        return "<firn>"


class _Frame:
    """A cell that is being run: what IPython told at its start, and the parallel run in it, if there is one."""

    def __init__(self, info: Any, count: int) -> None:
        self.info, self.count = info, count
        self.run: Run | None = None


class Notebook:
    """firn in one shell. The stack of running cells is per thread: kernels run the cells of subshells in threads."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.calls = Calls(self._ended_apart, self._between_cells)
        self.comparison = Comparison()
        self.reports = True
        self.matcher: Callable[..., Any] | None = None
        self._numbers = itertools.count()
        self._local = threading.local()
        self._rewriter = transform.CellRewriter(self.rewrite)
        self._type_calls = TypeCalls(shell.user_ns)

    # ---- loading and unloading

    def load(self) -> None:
        from firn import completion, magics, readonly

        shell = self.shell
        vars(shell)["showtraceback"] = readonly.showing(shell.showtraceback)
        show = shell._showtraceback
        vars(shell)["_showtraceback"] = lambda kind, error, lines: show(
            kind, error, [*map(transform.as_written, lines)]
        )
        shell.input_transformer_manager.line_transforms.insert(0, self.mark)
        shell.ast_transformers += [self._rewriter, self._type_calls]
        recompiling.recompile(shell.user_ns, shell.compile.flags)
        shell.events.register("pre_run_cell", self._before)
        shell.events.register("post_run_cell", self._after)
        magics.register(self)
        completion.register(self)
        self._lend_module()

    def unload(self) -> None:
        from firn import completion, magics

        shell = self.shell
        transforms = shell.input_transformer_manager.line_transforms
        if self.mark in transforms:
            transforms.remove(self.mark)
        for one in (self._rewriter, self._type_calls):
            if one in shell.ast_transformers:
                shell.ast_transformers.remove(one)
        shell.events.unregister("pre_run_cell", self._before)
        shell.events.unregister("post_run_cell", self._after)
        magics.unregister(self)
        completion.unregister(self)
        vars(shell).pop("showtraceback", None)
        vars(shell).pop("_showtraceback", None)
        shell.user_ns.pop(NAME, None)
        shell.user_ns_hidden.pop(NAME, None)
        if shell.user_ns_hidden.pop(MODULE, None) is not None and shell.user_ns.get(MODULE) is firn:
            del shell.user_ns[MODULE]

    def _lend_module(self) -> None:
        """The name firn, where it is free: messages say what to write, and that works as it stands there."""
        if MODULE not in self.shell.user_ns:
            self.shell.user_ns[MODULE] = self.shell.user_ns_hidden[MODULE] = firn

    # ---- one cell

    @property
    def _frames(self) -> list[_Frame]:
        if not hasattr(self._local, "frames"):
            self._local.frames = []
        frames: list[_Frame] = self._local.frames
        return frames

    def mark(self, lines: list[str]) -> list[str]:
        """The input transformation. Remembers the cell's text, for magics such as %%time compile a cell themselves."""
        marked = transform.mark(lines)
        if marked is not lines:
            self._local.source = "".join(marked)
        return marked

    def _before(self, info: Any) -> None:
        self._between_cells()
        self._lend_module()  # %reset has taken it, or the user a variable of that name
        count = self.shell.execution_count - (1 if info.store_history else 0)
        self._frames.append(_Frame(info, count))

    def _after(self, result: Any) -> None:
        frames = self._frames
        info = getattr(result, "info", None)
        while frames:
            frame = frames.pop()
            last = info is None or frame.info is info or frame.info.raw_cell == info.raw_cell
            if frame.run is not None:
                if last and result is not None:
                    frame.run.account.cell_ended(result.error_before_exec or result.error_in_exec)
                self._finish(frame.run)
            if last:
                break
        settings.look_at_autoreload()
        if not frames:
            self._between_cells()
            LIFETIME.cell_ended([notebook.shell.user_ns for notebook in _notebooks.values()])

    def _between_cells(self) -> None:
        """Background cells go on here, if this is not in the middle of another one."""
        if background.ACTIVE and not self._frames:
            self.shell.user_ns[NAME] = self.calls
            background.merge_what_has_ended()

    def _ended_apart(self, run: Run) -> Kept:
        return firn._reports.append(run.finish())

    def _finish(self, run: Run) -> None:
        if news := LIFETIME.news():
            run.note(news)
        report = run.finish()
        firn._reports.append(report)
        if run.error is None and not run.options.quiet and self.reports and not report.never_began:
            self.show(report)

    def show(self, report: Report) -> None:
        """Displays a report: HTML where the front end shows it, one line of text elsewhere."""
        from firn.report_html import render

        data = {"text/plain": str(report), "text/html": render(report)}
        self.shell.display_pub.publish(data=data, metadata={})

    def rewrite(self, tree: ast.Module, line: str) -> ast.Module:
        """The syntax tree that runs in place of a marked cell's; what is wrong with the cell becomes its one statement."""
        frame = self._frames[-1] if self._frames else None
        run = self._new_run(tree, frame)
        try:
            return self._rewritten(tree, line, run)
        except errors.CellError as error:
            run.error = error.at(error.line, error.source or run.source)
        except analysis.Refusal as refusal:
            run.error = errors.refused(refusal.line, refusal.reason, refusal.remedy, run.source, refusal.name)
        except modules.Unloadable as error:
            run.error = error
            errors.shown_plainly(error, error.line, run.source)
        except SyntaxError:
            return tree  # compiling the cell says it better
        except Exception as error:
            run.error = errors.internal(error)
        run.report.failed = type(run.error).__name__
        self._hand_over(run, frame)
        return transform.calling("refuse", run.number, line=run.error.line or 1)

    def _rewritten(self, tree: ast.Module, line: str, run: Run) -> ast.Module:
        frame = self._frames[-1] if self._frames else None
        run.options = wanted = options.parse(line, self.shell.user_ns)
        run.__post_init__()
        self._check_names("--copy", wanted.copy)
        self._check_names("--share", wanted.share, stored(*tree.body))
        why = self._why_serial(tree, wanted)
        if wanted.explain:
            self._explain(tree, run, why)
            return ast.Module([], [])
        if not why:
            tracing.check(tree.body[0].lineno)
        if wanted.background:
            return self._apart(tree, run, why)
        if why:
            run.report.why.append(why)
            self._hand_over(run, frame)
            return tree
        if wanted.each or analysis.uses_parallel(tree, self.shell.user_ns):
            # Nothing is split there: a loop that could not be is no reason to refuse the cell.
            each.check(tree, run.source)
            self._hand_over(run, frame)
            return transform.calling("each", run.number, line=tree.body[0].lineno)
        plan = run.plan = self._analyzed(tree, run)
        self._hand_over(run, frame)
        return transform.bind(plan.module, run.number) if plan.loops else tree

    def _analyzed(self, tree: ast.Module, run: Run) -> analysis.CellPlan:
        names = self.shell.user_ns
        plan = analysis.analyze(
            tree,
            source=run.source,
            filename=run.filename,
            namespace=names,
            share=run.options.share,
            reassociate=run.options.reassociate,
        )
        for loop in plan.loops:
            modules.check_reads(tree, loop.names, loop.lineno, names, run.filename)
        return plan

    def _apart(self, tree: ast.Module, run: Run, why: str) -> ast.Module:
        """A background cell, of which the notebook's own cell is but the start."""
        background.check(tree, run.source)
        background.check_name(run.options.background, tree, run)
        if analysis.uses_parallel(tree, self.shell.user_ns):
            raise errors.option_conflict(options.MAGIC, "--background", "parallel.rank", "it runs in all workers")
        if why:
            run.report.why.append(why)
        else:
            run.plan = self._analyzed(tree, run)
            if run.plan.loops:
                tree = transform.bind(run.plan.module, run.number, apart=True)
        run.code = background.compiled(tree, run)
        self._hand_over(run, None)
        return transform.starting(run.options.background, run.number)

    def _explain(self, tree: ast.Module, run: Run, why: str) -> None:
        """Displays what would become of the cell, which does not run."""
        from firn import explain

        if why:
            found = explain.Explanation(run.source, errors.explained_serial(why))
        elif run.options.each or analysis.uses_parallel(tree, run.namespace):
            each.check(tree, run.source)
            found = explain.Explanation(run.source, errors.explained_each())
        else:
            found = explain.explain(
                tree, source=run.source, filename=run.filename, namespace=run.namespace, wanted=run.options
            )
        self.shell.display_pub.publish(data={"text/plain": str(found), "text/html": found._repr_html_()}, metadata={})

    def _hand_over(self, run: Run, frame: _Frame | None) -> None:
        """Makes the run known to the cell that is about to start."""
        self.calls.add(run)
        self.shell.user_ns[NAME] = self.calls
        self.shell.user_ns_hidden[NAME] = self.calls
        self._lend_module()
        if frame is not None:
            if frame.run is not None:
                self._finish(frame.run)
            frame.run = run

    def _new_run(self, tree: ast.Module, frame: _Frame | None) -> Run:
        shell = self.shell
        cell = None if frame is None or not frame.info.store_history else frame.count
        if frame is not None and transform.is_marked(frame.info.transformed_cell or ""):
            source = transform.readable(frame.info.transformed_cell)
            filename = shell.compile.get_code_name(frame.info.raw_cell, frame.info.transformed_cell, frame.count)
            linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        else:
            # Another magic compiles this cell, under a name that no traceback could show lines of.
            source = transform.readable(getattr(self._local, "source", ""))
            filename = shell.compile.cache(source, shell.execution_count)
        return Run(
            number=next(self._numbers),
            cell=cell,
            options=Options(),
            source=source,
            filename=filename,
            namespace=shell.user_ns,
            session=SESSION,
            comparison=self.comparison,
            screens=lambda number: screen_of(shell, number),
            tree=tree,
        )

    def _check_names(self, option: str, names: frozenset[str], bound: Collection[str] = ()) -> None:
        """`bound` are the names that the cell itself binds."""
        if lost := sorted(names - self.shell.user_ns.keys() - set(bound)):
            raise errors.missing_names(option, lost, own_names(self.shell) | set(bound))

    @staticmethod
    def _why_serial(tree: ast.Module, wanted: Options) -> str:
        if not tree.body:
            return "the cell has no code"
        if wanted.serial:
            return "--serial asks for it"
        return tracer()


def tracer() -> str:
    """Who watches every line of this thread, if anybody does: such a cell runs serially, where it can be watched."""
    if sys.gettrace() is not None:
        return "sys.settrace is on (a debugger or a coverage tool), which sees only the notebook's own interpreter"
    for tool, name in ((sys.monitoring.DEBUGGER_ID, "a debugger"), (sys.monitoring.COVERAGE_ID, "a coverage tool")):
        if sys.monitoring.get_tool(tool) is not None:
            return f"{name} is on, which sees only the notebook's own interpreter"
    return ""


_notebooks: dict[int, Notebook] = {}


def load(shell: InteractiveShell) -> Notebook:
    """Adds firn to a shell, once, and starts the workers while the user types."""
    known = _notebooks.get(id(shell))
    if known is not None:
        return known
    notebook = _notebooks[id(shell)] = Notebook(shell)
    notebook.load()
    SESSION.warm()
    threading.Thread(target=import_ahead, name="firn-imports", daemon=True).start()
    return notebook


AFTER_A_CELL: Final = {Notebook._after.__code__}
"""What no interrupt should end: it has come too late for the cell. A kernel may ask for it."""


def import_ahead() -> None:
    """Imports what the first cells need while the user types."""
    from firn import replicate, report_html  # noqa: F401
    from firn.analysis import cell  # noqa: F401

    ast.unparse(ast.Pass())  # which imports its own half late
    from firn.analysis import rewrite  # noqa: F401


def unload(shell: InteractiveShell) -> None:
    notebook = _notebooks.pop(id(shell), None)
    if notebook is not None:
        notebook.unload()
        settings.stop_counting()
