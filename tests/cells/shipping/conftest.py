"""Loops in real workers, without the analysis of cells: a notebook's namespace, its cells, and one expression an item."""

from __future__ import annotations

import ast
import builtins
import linecache
import pickle
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from firn import _core, shipping
from firn.items import as_items

CHUNK = """
def __firn_chunk__(items, start):
    found = []
    for x in items:
        found.append({body})
    return found
"""


class Failed(Exception):
    """What a worker reported instead of effects."""

    def __init__(self, result: tuple[Any, ...]) -> None:
        self.kind, self.iteration, self.pickled, self.type_name, self.message, self.traceback, _ = result
        super().__init__(self.traceback)

    def original(self) -> BaseException:
        assert self.pickled is not None
        error = pickle.loads(self.pickled)
        assert isinstance(error, BaseException)
        return error


class Notebook:
    """The globals of a notebook, and its cells."""

    def __init__(self, pool: _core.Pool, module: types.ModuleType) -> None:
        self.pool = pool
        self.names = module.__dict__
        self.output: list[tuple[str, str]] = []
        self._cells = 0

    def __getitem__(self, name: str) -> Any:
        return self.names[name]

    def cell(self, source: str) -> str:
        """Runs a cell; returns its file name."""
        self._cells += 1
        filename = f"<cell {self._cells}>"
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        exec(compile(source, filename, "exec"), self.names)
        return filename

    def prepare(self, body: str, items: Iterable[Any] = range(4), **options: Any) -> shipping.Shipment:
        """Prepares a loop that collects an expression of `x` (and of the notebook's names)."""
        source = CHUNK.format(body=body)
        filename = f"<loop {body}>"
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        tree = ast.parse(body, mode="eval")
        read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and type(node.ctx) is ast.Load}
        read -= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and type(node.ctx) is ast.Store}
        wanted = {name for name in read - {"x"} if name in self.names or not hasattr(builtins, name)}
        code = compile(source, filename, "exec")
        self.items = as_items(items)
        return shipping.prepare(wanted, self.names, code=code, items=self.items, **options)

    def loop(self, body: str, items: Iterable[Any] = range(4), *, chunk: int = 2, **options: Any) -> list[Any]:
        """The expression's values, one an item, computed by workers; frozen names are rebound, as in a cell."""
        self.shipment = self.prepare(body, items, **options)
        self.names.update(self.shipment.frozen)
        return [value for part in self.run(self.shipment, len(self.items), chunk=chunk) for value in part]

    def each(
        self, source: str, *, gather: tuple[str, ...] = (), generation: int = 0, remembered: Any = ()
    ) -> list[Any]:
        """Runs a whole cell in both workers; the gathered variables of each, by rank."""
        from firn import names

        filename = "<each>"
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        code = compile(source, filename, "exec")
        wanted = {name for name in names.reads(code).lines if name in self.names or name not in names.assigned(code)}
        shipment = shipping.prepare(
            wanted - {"parallel"},
            self.names,
            code=code,
            each=True,
            gather=gather,
            size=2,
            generation=generation,
            remembered=remembered,
        )
        return self.run(shipment, 2, pinned=True)

    def run(self, shipment: shipping.Shipment, count: int, **options: Any) -> list[Any]:
        job = self.pool.submit(shipment.setup, count, **options)
        chunks: dict[int, Any] = {}
        self.output = []
        try:
            while (event := job.next(20)) is not None:
                if event.kind == "output":
                    self.output.append((event.stream, event.text))
                elif event.kind == "chunk":
                    chunks[event.start] = shipping.unpack(event.result) if event.pickled else event.result
                else:
                    raise AssertionError(event.error)
            assert job.done
        finally:
            job.close()
        results = [chunks[start] for start in sorted(chunks)]
        failed = next((result for result in results if result[0] == "error"), None)
        if failed is not None:
            raise Failed(failed)
        return [result[1] for result in results]


@pytest.fixture(scope="session")
def pool() -> Iterator[_core.Pool]:
    pool = _core.Pool(2)
    yield pool
    pool.close()


@pytest.fixture
def notebook(pool: _core.Pool, monkeypatch: pytest.MonkeyPatch) -> Notebook:
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    return Notebook(pool, module)


@pytest.fixture
def refused(notebook: Notebook) -> Callable[..., shipping.ShippingRefusal]:
    """Runs a cell, prepares a loop and returns the refusal; the notebook's variables must be what they were."""

    def refused(cell: str, body: str, items: Iterable[Any] = range(4)) -> shipping.ShippingRefusal:
        notebook.cell(cell)
        before = dict(notebook.names)
        with pytest.raises(shipping.ShippingRefusal) as caught:
            notebook.prepare(body, items)
        assert {name: id(value) for name, value in before.items()} == {
            name: id(value) for name, value in notebook.names.items()
        }
        assert caught.value.reason and caught.value.remedy
        return caught.value

    return refused
