"""The peers: the ways to run a workload on all cores, each given the data in its best way.

A peer lives in a process of its own, which holds the workload's data before any clock runs. What it imports is imported
then, too. `start` brings up its workers, `share` gives them the data, `run` is the cell.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, InterpreterPoolExecutor, ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from bench.cells import there
from bench.cells.workload import Names, Workload, workload

WORKERS = os.process_cpu_count() or 1


class Peer(ABC):
    """One way of running a workload: by its module's name `key`, over the variables `names`; `folder` is for its files."""

    title = ""
    copies = True  # the data is copied or pickled for the workers
    later = ""  # what a later cell meets, where that is not simply the data in place

    def __init__(self, key: str, names: Names, folder: Path) -> None:
        self.key, self.names, self.folder = key, names, folder
        self.workload: Workload = workload(key)
        self.bounds = self.workload.bounds(names)

    def prepare(self) -> None:  # noqa: B027 (a hook)
        """What a session has long done: imports."""

    def start(self) -> None:  # noqa: B027 (a hook)
        """Brings up the workers, all of them."""

    def share(self) -> None:  # noqa: B027 (a hook)
        """Gives them the data."""

    @abstractmethod
    def run(self) -> Any:
        """The cell: its result."""

    def run_again(self) -> Any:
        """A later cell."""
        return self.run()

    def end(self) -> None:  # noqa: B027 (a hook)
        """Stops the workers."""


class Tasks(Peer):
    """A peer whose cell hands out one task for each of the workload's bounds."""

    def run(self) -> Any:
        return self.workload.whole(self.pieces, self.names)

    def pieces(self, **fresh: Any) -> list[Any]:
        """One loop; `fresh` are variables that the workers have not seen, pickled once."""
        return list(self.map(pickle.dumps(fresh, 5)))

    @abstractmethod
    def map(self, fresh: bytes) -> Iterable[Any]:
        """The results of the tasks, in order."""


class Serial(Peer):
    """The plain cell."""

    title = "serial"
    copies = False

    def prepare(self) -> None:
        self.space: Names = {"__name__": "__main__"}
        exec(compile(self.workload.setup, "setup", "exec"), self.space)
        self.space.update(self.names)

    def run(self) -> Any:
        exec(compile(self.workload.cell, "cell", "exec"), self.space)
        return self.space.pop("result")


class Firn(Peer):
    """The same cell below `%%parallel`, in an IPython shell; loading the extension starts the workers."""

    title = "firn"
    copies = False

    def prepare(self) -> None:
        from firn import notebook
        from IPython.core.interactiveshell import InteractiveShell

        notebook.import_ahead()

        shell = InteractiveShell.instance()
        shell.run_cell(self.workload.setup, store_history=False).raise_error()
        shell.user_ns.update(self.names)
        self.names = {}

    def start(self) -> None:
        from bench.notebook import Notebook

        self.notebook = Notebook()

    def run(self) -> Any:
        self.notebook.run("%%parallel --quiet\n" + self.workload.cell)
        return self.notebook.names.pop("result")


class Pool(Tasks):
    """An executor of concurrent.futures, whose workers load one pickle each when they start."""

    executor: Executor | None = None

    @property
    def path(self) -> str:
        return str(self.folder / type(self).__name__)

    def dump(self) -> None:
        with open(self.path, "wb") as file:
            pickle.dump(self.names, file, 5)

    def warm(self) -> None:
        assert self.executor is not None
        list(self.executor.map(there.ready, range(2 * WORKERS)))

    def map(self, fresh: bytes) -> Iterable[Any]:
        assert self.executor is not None
        tasks = [self.executor.submit(there.piece, self.key, *bounds, fresh) for bounds in self.bounds]
        return [task.result() for task in tasks]

    def end(self) -> None:
        if self.executor is not None:
            self.executor.shutdown()


class Interpreters(Pool):
    """An initializer loads the pickle once in each interpreter; the pool is made with the data."""

    title = "InterpreterPool"

    def share(self) -> None:
        self.dump()
        self.executor = InterpreterPoolExecutor(WORKERS, initializer=there.load, initargs=(self.path,))
        self.warm()


class ForkServer(Pool):
    """The same with processes that a clean one forks; that one is there, with the module imported, before the data."""

    title = "processes, forkserver"

    def prepare(self) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["bench.cells.there", f"bench.cells.work.{self.key}"])

    def share(self) -> None:
        self.dump()
        self.executor = ProcessPoolExecutor(WORKERS, self.context, there.load, (self.path,))
        self.warm()


class Fork(Pool):
    """Processes forked after the data exists, which inherit it: nothing is pickled. Kept for later cells."""

    title = "processes, fork (kept)"
    copies = False
    later = "reads what was there when the pool was forked, and sees nothing newer"

    def share(self) -> None:
        there.put(self.names)
        gc.collect()
        gc.freeze()  # or the children's collector would write to every object's page
        self.executor = ProcessPoolExecutor(WORKERS, multiprocessing.get_context("fork"))
        self.warm()


class ForkAnew(Fork):
    """The same, forked again for each cell, as a pool must be that is to see what the notebook has bound since."""

    title = "processes, fork (anew)"
    later = "forks the pool again, and so sees functions and variables that are new"

    def run_again(self) -> Any:
        assert self.executor is not None
        self.executor.shutdown()
        self.share()
        return self.run()


class Loky(Pool):
    """joblib's default; it has no initializer, so each process loads the pickle with its first task. Its memory maps are
    for NumPy's arrays, which this data has none of."""

    title = "joblib (loky)"

    def prepare(self) -> None:
        import joblib

        self.joblib = joblib
        self.parallel = joblib.Parallel(WORKERS, pre_dispatch="all", batch_size=1)

    def start(self) -> None:
        self.parallel.__enter__()
        self.parallel(self.joblib.delayed(there.ready)(number) for number in range(2 * WORKERS))

    def share(self) -> None:
        self.dump()

    def map(self, fresh: bytes) -> Iterable[Any]:
        piece = self.joblib.delayed(there.piece_loading)
        found: list[Any] = self.parallel(piece(self.path, self.key, *bounds, fresh) for bounds in self.bounds)
        return found

    def end(self) -> None:
        from joblib.externals.loky import get_reusable_executor

        self.parallel.__exit__(None, None, None)
        get_reusable_executor().shutdown()


class IPyParallel(Tasks):
    """The data is pickled once and pushed to all engines once; a load-balanced view hands out the tasks."""

    title = "ipyparallel"

    def prepare(self) -> None:
        import ipyparallel

        self.cluster = ipyparallel.Cluster(n=WORKERS, log_level=50, cluster_id=f"firn-cells-{os.getpid()}")

    def start(self) -> None:
        self.client = self.cluster.start_and_connect_sync()
        self.engines = self.client[:]
        self.view = self.client.load_balanced_view()
        self.engines.apply_sync(there.ready)

    def share(self) -> None:
        self.engines.apply_sync(there.unpickle, pickle.dumps(self.names, 5))

    def map(self, fresh: bytes) -> Iterable[Any]:
        tasks = [self.view.apply_async(there.piece, self.key, *bounds, fresh) for bounds in self.bounds]
        return [task.get() for task in tasks]

    def end(self) -> None:
        self.cluster.stop_cluster_sync()


class Dask(Tasks):
    """dask.distributed on a local cluster of processes with a thread each; the data is scattered to all of them once."""

    title = "dask.distributed"

    def prepare(self) -> None:
        import distributed

        self.distributed = distributed

    def start(self) -> None:
        self.cluster = self.distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, memory_limit=None, silence_logs=50
        )
        self.client = self.distributed.Client(self.cluster)
        self.client.wait_for_workers(WORKERS)

    def share(self) -> None:
        # As one value, hashed by nobody; a dict would be scattered item by item.
        [self.there] = self.client.scatter([self.names], broadcast=True, hash=False)

    def map(self, fresh: bytes) -> Iterable[Any]:
        piece: Callable[..., Any] = partial(self.client.submit, there.piece_with, self.there, self.key, pure=False)
        tasks = [piece(*bounds, fresh) for bounds in self.bounds]
        found: list[Any] = self.client.gather(tasks)
        return found

    def end(self) -> None:
        self.client.close()
        self.cluster.close()


PEERS: tuple[type[Peer], ...] = (Serial, Firn, Interpreters, Fork, ForkAnew, ForkServer, Loky, IPyParallel, Dask)
