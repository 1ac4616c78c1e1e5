"""`%%parallel --each`: the whole cell runs once in every worker, with `parallel.rank`, `.size` and `.split(sequence)`."""

from __future__ import annotations

import ast
import copy
import io
import time
import tokenize
from types import CodeType
from typing import TYPE_CHECKING

from firn import errors, jobs, modules, names, shipping
from firn.analysis.type_calls import asking_in
from firn.progress import Progress
from firn.raised import reraise
from firn.report import Loop

if TYPE_CHECKING:
    from firn.driver import Result, Run

_SHOW = "__import__('firn.showing').showing.show"


class Workers:
    """What the notebook knows of the workers' own variables: the names that `--each` cells assigned there."""

    def __init__(self) -> None:
        self.generation = 0
        self.names: set[str] = set()

    def reset(self) -> None:
        """Lets every worker start from an empty namespace at the next `--each` cell."""
        self.generation += 1
        self.names.clear()


WORKERS = Workers()


def check(tree: ast.Module, source: str) -> None:
    """Refuses what no worker can do: `await`, line magics, shell commands, `input()`."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", None)
        match node:
            case ast.Await() | ast.AsyncFor() | ast.AsyncWith() if at_top(tree, node):
                raise errors.each_await(line, source)
            case ast.Call(func=ast.Name(id="get_ipython")):
                raise errors.each_magic(line, source)
            case ast.Call(func=ast.Name(id="input" | "breakpoint" as name)):
                raise errors.each_input(line, name, source)


def at_top(tree: ast.Module, wanted: ast.AST) -> bool:
    """Whether a node stands outside every function of the cell."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if node is wanted:
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            todo += ast.iter_child_nodes(node)
    return False


def run(run: Run) -> Result:
    """Runs the cell in the workers, binds the gathered lists, and returns what the cell's line gets."""
    first = run.tree.body[0].lineno
    entry = run.account.enter(first, "cell", run.source.splitlines()[first - 1], "each")
    try:
        _run(run, entry)
    except BaseException as error:
        return run.failed(error, first, entry), None
    finally:
        run.account.leave(entry)
    return None, None


def _run(run: Run, entry: Loop) -> None:
    code = _compiled(run, quiet=_ends_quietly(run.source))
    made = assigned(run.tree) | WORKERS.names
    if lost := [name for name in run.options.gather if name not in made]:
        if lost[0] in run.namespace:
            raise errors.only_read(lost[0])
        raise errors.missing_names("--gather", lost, made)
    modules.check_imports(run.tree.body, run.filename)
    with run.session.turn() as pool:
        size = entry.items = entry.offered = run.workers_of(pool.size)
        began = time.perf_counter()
        shipment = shipping.prepare(
            _needed(run.tree, code) | (run.options.share & run.namespace.keys()),
            run.namespace,
            code=code,
            copy=run.options.copy,
            label=run.label,
            each=True,
            remembered=frozenset(WORKERS.names),
            gather=run.options.gather,
            size=size,
            generation=WORKERS.generation,
            seed=run.seed_of(0),
            screen=lambda: run.screen,
        )
        originals = run.rebind(shipment)
        job = pool.submit(shipment.setup, size, pinned=True)
        prepared = time.perf_counter() - began
        run.add_shipment(shipment, entry)
        labelled = jobs.Grouped() if run.options.group else jobs.Labelled()
        outcome = jobs.run(
            job,
            decided=lambda _: False,
            deadline=run.deadline,
            begun=originals.clear,
            write=labelled,
            failed=jobs.own_failure("cell", entry.line),
            place=errors.in_worker,
            progress=Progress(run.screen, "--each", size, unit="worker"),
        )
        labelled.flush()
        run.account.add_outcome(entry, outcome, prepared)
    WORKERS.names |= assigned(run.tree)
    if outcome.error is not None:
        reraise(outcome.error)
    began = time.perf_counter()
    found = [done.effects for done in outcome.chunks]
    run.namespace.update({name: [values[name] for values in found] for name in run.options.gather})
    entry.merge_seconds = time.perf_counter() - began


def _ends_quietly(source: str) -> bool:
    """Whether a semicolon at the cell's end asks not to show its last expression."""
    kinds = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.DEDENT)
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in kinds]
    return bool(tokens) and tokens[-1].string == ";"


def _compiled(run: Run, quiet: bool) -> CodeType:
    """The cell as the workers run it: its last expression is shown, as in the notebook, if it is not to be `quiet`."""
    tree = run.tree
    module = copy.copy(tree)
    match tree.body[-1]:
        case ast.Expr(value=value) as last if not quiet:
            show = ast.parse(_SHOW, mode="eval").body
            call = ast.copy_location(ast.Call(show, [value], []), value)
            module.body = [*tree.body[:-1], ast.copy_location(ast.Expr(call), last)]
    return compile(asking_in(run.namespace, ast.fix_missing_locations(module)), run.filename, "exec", dont_inherit=True)


def _needed(tree: ast.Module, code: CodeType) -> set[str]:
    """The globals that the cell reads before one of its own statements has certainly bound them."""
    read, bound, needed = set(names.reads(code).lines), set[str](), set[str]()
    for statement in tree.body:
        here = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and not _stores(node)}
        needed |= (here & read) - bound
        match statement:
            case ast.Assign() | ast.AnnAssign() | ast.Import() | ast.ImportFrom() | ast.With():
                bound |= assigned(statement)
            case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
                bound |= assigned(statement)
    return needed - {"parallel"}


def _stores(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def assigned(tree: ast.AST) -> set[str]:
    """The names that a cell or a statement binds at its top level, and so in the worker."""
    found: set[str] = set()
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
                continue
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                found |= {alias.asname or alias.name.partition(".")[0] for alias in aliases}
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                continue
        todo += ast.iter_child_nodes(node)
    return found
