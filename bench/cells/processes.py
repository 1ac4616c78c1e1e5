"""A process for each peer of a workload: one measures its first cell after the other, the later ones take turns."""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
import os
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.cells.peers import PEERS, Peer
from bench.cells.workload import workload

PATIENCE = 300
"""Seconds that a peer has for an answer."""


@dataclass
class Times:
    """What one peer took for one workload, in seconds."""

    title: str
    copies: bool
    start: float = 0.0  # bringing up workers, where that is apart from giving them the data
    first: float = 0.0  # from data in memory to the result, with the start
    later: list[float] = field(default_factory=list)

    @property
    def quickest(self) -> float:
        """Of the later cells."""
        return min(self.later)


class PeerFailed(Exception):
    """A peer raised something, or gave another result than the serial cell."""


def digest(result: Any) -> str:
    """Equal for equal results of builtin types, with their types, order and every digit."""
    return hashlib.sha256(repr(result).encode("utf-8", "backslashreplace")).hexdigest()


def _serve(connection: Connection, kind: type[Peer], key: str, size: float, folder: Path) -> None:
    """The peer's process."""
    try:
        peer = kind(key, workload(key).make(size), folder)
        try:
            peer.prepare()
            gc.collect()
            connection.send(("ready",))
            while (order := connection.recv()) != "end":
                connection.send(("ran", *_measured(peer, order)))
        finally:
            peer.end()
        connection.send(("ended",))
    except BaseException:
        connection.send(("failed", traceback.format_exc()))


def _measured(peer: Peer, order: str) -> tuple[float, float, str]:
    """(seconds of starting, seconds of all, the result's digest) of the first cell or a later one."""
    gc.collect()
    began = started = time.perf_counter()
    if order == "first":
        peer.start()
        started = time.perf_counter()
        peer.share()
        result = peer.run()
    else:
        result = peer.run_again()
    ended = time.perf_counter()
    return started - began, ended - began, digest(result)


class Held:
    """A peer's process, seen from the one that measures."""

    def __init__(self, kind: type[Peer], times: Times, key: str, size: float, folder: Path) -> None:
        self.times = times
        self.key = key
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, kind, key, size, folder))
        self._process.start()
        theirs.close()
        self._answer()

    def _answer(self) -> Sequence[Any]:
        if not self._connection.poll(PATIENCE):
            raise PeerFailed(f"{self.times.title} did not answer within {PATIENCE} s at {self.key}")
        try:
            answer: tuple[Any, ...] = self._connection.recv()
        except EOFError:
            raise PeerFailed(f"{self.times.title} ended at {self.key}") from None
        if answer[0] == "failed":
            raise PeerFailed(f"{self.times.title} failed at {self.key}:\n{answer[1]}")
        return answer[1:]

    def first(self) -> str:
        """Measures the first cell, of which the quickest process counts; the result's digest."""
        self._connection.send("first")
        start, first, found = self._answer()
        if not self.times.first or first < self.times.first:
            self.times.start, self.times.first = start, first
        return str(found)

    def again(self) -> str:
        """Measures a later cell; the result's digest."""
        self._connection.send("later")
        _, seconds, found = self._answer()
        self.times.later.append(seconds)
        return str(found)

    def end(self) -> None:
        """Stops the peer's workers and its process."""
        try:
            self._connection.send("end")
            self._answer()
            self._process.join(10)
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends what is left of the peer: its process, and all that this has started."""
        if not self._process.is_alive():
            return
        import psutil  # here, for subinterpreters import this package too, and psutil does not load there

        left = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._process.join()
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def measure(key: str, size: float, rounds: int, firsts: int, peers: Sequence[type[Peer]] = PEERS) -> list[Times]:
    """The peers on one workload: so many first cells, each in a process of its own, and so many later ones in the last of
    these. Raises PeerFailed when one's result is not that of the first one, the serial cell."""
    project = str(Path(__file__).resolve().parents[2])
    if project not in os.environ.get("PYTHONPATH", "").split(os.pathsep):  # workers of all kinds import the workloads
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [project, os.environ.get("PYTHONPATH", "")]))
    held: list[Held] = []
    # In memory, where the machine has such a folder: no pickle meets a disk.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="firn-cells-", dir=memory) as folder:
        try:
            expected = ""
            times = [Times(kind.title, kind.copies) for kind in peers]
            for left in reversed(range(firsts)):
                for kind, its in zip(peers, times, strict=True):
                    held.append(Held(kind, its, key, size, Path(folder)))
                    expected = _same(held[-1], held[-1].first(), expected)
                if left:
                    for peer in held:
                        peer.end()
                    held.clear()
            for _ in range(rounds):
                for peer in held:
                    _same(peer, peer.again(), expected)
            for peer in held:
                peer.end()
        finally:
            for peer in held:
                peer.kill()
    return times


def _same(peer: Held, found: str, expected: str) -> str:
    if expected and found != expected:
        raise PeerFailed(f"{peer.times.title} has another result than the serial cell at {peer.key}")
    return found
