"""What the Python layer says when it cannot do what a cell asks: what happened, to which line or variable, what to do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from firn.readable import a

RED = "\x1b[1;31m"
BOLD = "\x1b[1m"
PLAIN = "\x1b[0m"


NO_INPUT = "input() cannot ask from a worker: ask before the loop, in the notebook's own part of the cell"
NO_BREAKPOINT = "breakpoint() cannot stop in a worker: run the cell with %%parallel --serial to debug it"


class CellError(Exception):
    """Base of what firn raises about a cell. IPython shows it as a few plain lines, without a traceback through firn."""

    line: int | None = None
    name: str = ""  # the variable that it is about
    source: str = ""

    def at(self, line: int | None, source: str) -> CellError:
        """Says which line of the cell's source is meant; returns itself."""
        self.line, self.source = line, source
        return self

    def _render_traceback_(self) -> list[str]:
        return [*excerpt(self.source, self.line), f"{RED}{type(self).__name__}{PLAIN}: {self}"]


class OptionError(CellError):
    """An option of `%%parallel`, `%parallel` or `%thaw` that does not exist or does not fit."""


class Refused(CellError):
    """A cell that cannot run in parallel and give the serial cell's result; nothing of it has run."""


class ParallelTimeout(CellError, TimeoutError):
    """A split loop took longer than `--timeout` allows; it was stopped and has changed nothing."""


class WorkerError(RuntimeError):
    """What went wrong in a worker, and where.

    An exception that can leave its worker is raised in the notebook itself, of the same class as in the serial cell; its
    attribute `worker_error` is then one of these, with the exception as its `__cause__`. In the place of one that cannot
    leave, a WorkerError is raised.

    index: the iteration, from 0 (None with --each). item: what the loop's variable was in it (with --each: None). rank:
    the worker. traceback: the worker's, as text.
    """

    index: int | None = None
    item: object = None
    rank: int | None = None
    traceback: str = ""

    @property
    def worker_error(self) -> WorkerError:
        return self


def excerpt(source: str, line: int | None) -> list[str]:
    """The line of a cell with an arrow, as IPython shows it; nothing if there is no such line."""
    lines = source.splitlines()
    if line is None or not 1 <= line <= len(lines):
        return []
    return [f"{BOLD}----> {line}{PLAIN} {lines[line - 1]}"]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean --chunk?`, or nothing when no known word is near."""
    import difflib  # late: firn is also imported by workers

    near = difflib.get_close_matches(word, [one for one in known if not one.startswith("_")], n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _each(line: int | None, what: str, remedy: str, source: str) -> Refused:
    return refused(line, f"{what} cannot run in a worker, and --each runs the whole cell there.", remedy, source)


def each_await(line: int | None, source: str) -> Refused:
    return _each(line, "await at the top of a cell", "Use asyncio.run(...) in a function that the cell calls.", source)


def each_magic(line: int | None, source: str) -> Refused:
    return _each(line, "A magic or a shell command", "Put it in a cell of its own, or use subprocess.run(...).", source)


def each_input(line: int | None, name: str, source: str) -> Refused:
    return _each(line, f"{name}()", "Ask in a cell above and read the answer's variable here.", source)


def refused(line: int | None, reason: str, remedy: str, source: str = "", name: str = "") -> Refused:
    """A refusal in one sentence for the reason and one for the way out; `name` is the variable that it is about."""
    where = f"line {line}: " if line else ""
    error = Refused(f"{where}{reason}" + (f"\n{remedy}" if remedy else ""))
    error.name = name
    error.at(line, source)
    return error


def tracing(line: int | None = None) -> Refused:
    return refused(
        line,
        "tracemalloc is tracing, and CPython crashes when the workers' interpreters allocate meanwhile (cpython#134604).",
        "Write tracemalloc.stop() before it, or run the cell with %%parallel --serial to trace it.",
    )


def executor_while_tracing() -> RuntimeError:
    return RuntimeError(
        "tracemalloc is tracing, and CPython crashes when a firn.Executor's interpreters allocate meanwhile "
        "(cpython#134604): write tracemalloc.stop() before the call"
    )


def unknown_option(magic: str, option: str, known: Iterable[str]) -> OptionError:
    return OptionError(f"{magic} has no option {option}{did_you_mean(option, known)} ({magic}? shows them all)")


def nothing_follows(magic: str, word: str, more: str) -> OptionError:
    return OptionError(f"{magic} {word}: nothing follows {word}, and here is {more!r} ({magic}? shows them all)")


def bad_option(magic: str, message: str) -> OptionError:
    return OptionError(f"{magic}: {message} ({magic}? shows the options)")


def option_conflict(magic: str, one: str, other: str, why: str) -> OptionError:
    return OptionError(f"{magic}: {one} and {other} cannot go together: {why}")


def second_magic(line: str) -> OptionError:
    name = line.split()[0]
    return OptionError(f"%%parallel must be the last of a cell's magics: put {name} on the line above it")


def not_transformed() -> OptionError:
    return OptionError(
        "%%parallel splits a cell that the notebook runs; here another magic compiles the cell itself. "
        "Take that magic away: firn.last_report() has the cell's times"
    )


def timed_out(seconds: float, line: int | None, source: str, each: bool) -> ParallelTimeout:
    stopped = (
        f"the workers were stopped after --timeout {seconds:g} s; what they had assigned stays in them"
        if each
        else f"the loop was stopped after --timeout {seconds:g} s; its variables are what they were before it"
    )
    error = ParallelTimeout(stopped)
    error.at(line, source)
    return error


def worker_failed(what: str, line: int, rank: int, text: str) -> WorkerError:
    error = WorkerError(f"worker {rank} could not run its part of the {what} on line {line}:\n{text.rstrip()}")
    error.rank, error.traceback = rank, text
    return error


def in_iteration(index: int, others: int, variable: str = "") -> str:
    """variable: the loop variable's name and value, or nothing."""
    more = "" if not others else f"; {others} later iteration{'s' if others > 1 else ''} failed as well"
    where = f", where {variable}" if variable else ""
    return f"(in iteration {index}, counted from 0{where}{more})"


IN_EXECUTOR = "(in a worker of a firn.Executor)"
NO_SUBINTERPRETERS = (
    "(use this module in the notebook's own interpreter, or in a concurrent.futures.ProcessPoolExecutor)"
)


def default_written(name: str, function: str, kind: str) -> str:
    """The message of a write to a frozen default value."""
    empty = {"list": "[]", "dict": "{}"}.get(kind, f"{kind}()")
    return (
        f"{name}, a default value of {function}(), is frozen: it is one {kind} for all calls, in all workers. Write "
        f"{name}=None, and {name} = {empty} in the body where it is None. (To remember results, functools.cache works: "
        "each worker keeps its own.)"
    )


def written_in_worker(what: str) -> str:
    """The message of a write to a frozen value in a worker; what: which value that is, and who shares it."""
    return (
        f"{what}, and so it would be after firn.thaw() or with --copy. Collect in the loop (or return) what is to change, "
        "and change it afterwards in the notebook."
    )


def frozen_written(kind: str, cell: str, frozen: Sequence[str], names: Sequence[str], own: Collection[str]) -> str:
    """The message of a write to part of `frozen`, the variables that a cell has frozen, through the variables `names`, of
    which `own` are frozen themselves and the others hold what is frozen."""
    shared = " or ".join(f"'{name}'" for name in frozen)
    what = f"'{names[0]}'" if len(names) == 1 and names[0] in own else f"this {kind}"
    holds = [name for name in names if name not in own]
    held = (
        f"{' and '.join(f"'{name}'" for name in holds)} {'hold' if len(holds) > 1 else 'holds'} it: " if holds else ""
    )
    thawed = " or ".join(f"{name} = firn.thaw({name})" for name in names)
    return (
        f"{what} is frozen: the %%parallel cell {cell} shares {shared}, to which it belongs, with the workers. "
        f"{held}{thawed} gives a copy that can be changed."
    )


def executor_in_worker() -> RuntimeError:
    return RuntimeError(
        "a firn.Executor starts workers from the notebook's own interpreter only: inside a worker, call the functions directly"
    )


def share_arrays(module: str, value: object) -> TypeError:
    kind = type(value)
    what = a(kind.__name__) if kind.__module__.partition(".")[0] == module else "the call"
    if module != "numpy":
        way_out = "give the call plain rows"
    elif kind.__name__ == "ndarray":
        way_out = "firn.share(array) gives its memory to all workers"
    elif hasattr(value, "item"):
        way_out = "its .item() is a Python number, and array.tolist() are many"
    else:
        way_out = "call it here, and give the call what it makes, as an array by firn.share(array)"
    return TypeError(
        f"{what} cannot be sent to a worker, for {module} does not load there: {way_out} "
        "(or use a concurrent.futures.ProcessPoolExecutor)"
    )


def worker_stopped[T: Exception](kind: type[T]) -> T:
    return kind("the worker was stopped before the call ended")


def call_failed(text: str) -> WorkerError:
    return WorkerError(f"the call has no result that can leave its worker:\n{text.rstrip()}")


def in_worker(rank: int, others: int) -> str:
    more = "" if not others else f"; {others} other worker{'s' if others > 1 else ''} failed as well"
    return f"(in worker {rank}{more})"


def not_shared(name: str) -> str:
    return f"(the notebook has '{name}', but firn saw nothing that reads it: %%parallel --share {name} gives it to the workers)"


def views_are_locked(names: list[str]) -> str:
    one = names[0]
    return (
        f"{', '.join(names)}: views of memory that is frozen, and read-only like that"
        f" ({one} = {one}.copy() has memory of its own)"
    )


def hold_frozen(names: Collection[str]) -> str:
    which = ", ".join(sorted(names))
    return f"{which} held some of what was frozen, and now {'holds' if len(names) == 1 else 'hold'} the frozen objects"


def goes_on(name: str) -> str:
    return f"{name} was read to its end, and is now another iterator, over what the loop had not come to"


def ran_here(index: int, item: object, message: str, traceback: str) -> WorkerError:
    """The details of an iteration that failed in the notebook: no worker had it."""
    error = WorkerError(message)
    error.index, error.item, error.traceback = index, item, traceback
    return error


def too_short(line: int, iterations: int, time: str) -> str:
    count = f"{iterations} iteration{'s' if iterations != 1 else ''}"
    return f"line {line}: a loop that only shows something ran in the notebook ({count}, {time})"


def fewer_workers(wanted: int, size: int) -> str:
    there = "is 1 worker" if size == 1 else f"are {size} workers"
    return f"--workers {wanted}: there {there}; %parallel workers {wanted} starts as many for the cells that follow"


def cannot_leave(rank: int, why: str) -> WorkerError:
    error = WorkerError(
        f"what the cell makes in its workers cannot come to the notebook ({why}). "
        "Make something of it there that can (a number, a text, a list), or run the cell with %%parallel --serial"
    )
    error.rank = rank
    return error


def not_made(name: str) -> str:
    return f"--gather {name}: the cell has not made '{name}' in this worker"


def left_behind(type_name: str, message: str) -> WorkerError:
    """What is raised in the place of an exception that cannot leave its worker."""
    error = details(type_name, message)
    error.add_note(f"(the {type_name} itself stays in its worker: it cannot be pickled and made again here)")
    return error


def details(type_name: str, message: str) -> WorkerError:
    """What comes along with an exception that has left its worker."""
    return WorkerError(f"{type_name}: {message}" if message else type_name)


def only_read(name: str) -> OptionError:
    return OptionError(
        f"%%parallel --gather {name}: the cell does not assign '{name}', and a list of what the workers read would take its "
        f"place in the notebook: assign what is to come back to another name"
    )


def missing_names(option: str, names: Sequence[str], known: Iterable[str]) -> OptionError:
    name = names[0]
    nobody = (
        "neither the cell nor an earlier --each cell binds" if option == "--gather" else "the notebook has no variable"
    )
    return OptionError(f"%%parallel {option} {name}: {nobody} '{name}'{did_you_mean(name, known)}")


def not_frozen(name: str) -> OptionError:
    return OptionError(f"%thaw {name}: '{name}' is not frozen, so it can be changed as it is")


def nothing_frozen(name: str) -> OptionError:
    way_out = f"; {name} = firn.freeze({name}) freezes it" if name.isidentifier() else ""
    return OptionError(f"%frozen {name}: '{name}' is not frozen{way_out}")


def cannot_look_at(words: str, error: Exception) -> OptionError:
    """words: what follows `%frozen`."""
    if isinstance(error, SyntaxError):
        return OptionError(f"%frozen {words}: one variable, or a part of one as code reads it: rows[0]['name']")
    return OptionError(f"%frozen {words}: {type(error).__name__}: {error}")


def no_variable(magic: str, name: str, known: Iterable[str]) -> OptionError:
    return OptionError(f"{magic} {name}: the notebook has no variable '{name}'{did_you_mean(name, known)}")


def cannot_display(error: Exception) -> str:
    return f"a worker's display() cannot be shown here: {type(error).__name__}: {error}"


def cannot_spool(folder: str, reason: str) -> str:
    return (
        f"frozen data that no variable needs any more stays in memory: {folder} cannot take it ({reason}); "
        "FIRN_SPOOL names another folder"
    )


def background_await(line: int | None, source: str) -> Refused:
    return refused(
        line,
        "await in a background cell would let other cells run in the middle of it.",
        "Await in a cell of its own.",
        source,
    )


def background_name(name: str, line: int | None, function: str, source: str) -> Refused:
    """A background cell whose handle would take the place of a variable that it uses; `function` reads it, if not the cell."""
    who = f"{function}(), which the cell may call," if function else "The cell itself"
    return refused(
        line,
        f"{who} uses '{name}', which --background {name} binds to the job's handle while the cell goes on.",
        f"Give the handle another name: --background {name}_job.",
        source,
    )


def background_builtin(name: str, whose: str) -> OptionError:
    return OptionError(
        f"%%parallel --background {name}: the handle would hide {whose} {name} from all cells. "
        f"Give it another name: --background {name}_job"
    )


def background_failed(name: str, error: BaseException) -> str:
    return f"the background job {name!r} failed: {type(error).__name__}: {error} ({name}.result() shows where)"


def job_in_worker(name: str) -> str:
    return (
        f"the background job {name!r} goes on in the notebook, and no worker can ask it: "
        f"take its result first (value = {name}.result()) and use that"
    )


def cancelled(name: str) -> str:
    return f"the background job {name!r} was cancelled, and has changed nothing"


def waits_for_itself(name: str) -> RuntimeError:
    return RuntimeError(f"the background job {name!r} cannot wait for its own end")


def not_done(name: str, timeout: float | None) -> TimeoutError:
    return TimeoutError(f"the background job {name!r} is not done after {timeout:g} s, and goes on")


def restarted(line: int, source: str) -> CellError:
    error = CellError(
        "the loop was stopped, for its workers were restarted; its variables are what they were before it"
    )
    return error.at(line, source)


def internal(error: BaseException) -> Refused:
    return Refused(
        f"firn failed to analyse this cell ({type(error).__name__}: {error}), and has run nothing of it. "
        "%%parallel --serial runs it; the error is firn's, please report it"
    )


def explained_serial(why: str) -> str:
    return f"the cell would run serially: {why}"


def explained_each() -> str:
    return "the whole cell would run once in every worker, and none of its loops would be split"


def shown_plainly(error: BaseException, line: int | None, source: str) -> BaseException:
    """Makes IPython show an exception as a few lines, as it does CellError, whatever its class; returns it."""
    if isinstance(error, CellError):
        return error.at(error.line or line, error.source or source)
    where = getattr(error, "line", None) or line

    def render() -> list[str]:
        return [*excerpt(source, where), f"{RED}{type(error).__name__}{PLAIN}: {error}"]

    error._render_traceback_ = render  # type: ignore[attr-defined]
    return error
