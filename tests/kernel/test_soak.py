"""A long session: cells of every kind in random order, interrupts, restarts of workers. Nothing is lost, memory stays.

Each cell's messages are compared with what it must bring, from its reply to its idle. The short form runs each kind a few
times; the long one is 5,000 cells. Its memory stays within 5 % from the 2,000th cell on: by then jedi and what else loads
at its first use are there. Left out is what IPython keeps of each cell for its user: In, Out and the history, with what
cells displayed and raised; that is measured, too.
"""

from __future__ import annotations

import ast
import itertools
import os
import queue
import random
import signal
import statistics
import time
from typing import NamedTuple

import pytest

SETUP = """
import asyncio, comm, gc, linecache, os, sys, time
from firn import _core
class Table(list): pass
opened = {}
def target(c, message):
    opened[c.comm_id] = c
    @c.on_msg
    def handle(message):
        print('got', message['content']['data'])
        c.send(message['content']['data'])
    @c.on_close
    def closed(message):
        del opened[c.comm_id]
comm.get_comm_manager().register_target('soak', target)
rows = [{'name': f'row {n}', 'value': n} for n in range(500)]
def settled():
    own, of_a_file = 0, False
    with open('/proc/self/smaps') as file:
        for line in file:
            first, *rest = line.split()
            if not first.endswith(':'):
                of_a_file = len(rest) > 4 and rest[4].startswith('/') and rest[-1] != '(deleted)'
            elif first == ('Anonymous:' if of_a_file else 'Rss:'):
                own += int(rest[0])
    return own, kept() // 1024, len(In)
def kept():
    shell = get_ipython()
    history, names = shell.history_manager, shell.compile._filename_map
    todo = [In, Out, history.input_hist_raw, history.output_hist_reprs, history.outputs, history.exceptions, names]
    todo += [entry for name, entry in linecache.cache.items() if name in names]
    todo += [name for name in globals() if name.startswith('_') and name.strip('_i').isdigit()]  # _i12, _12
    seen, size = set(), sys.getsizeof(globals()) + sys.getsizeof(shell.user_ns_hidden)
    while todo:
        value = todo.pop()
        if id(value) not in seen:
            seen.add(id(value))
            size += sys.getsizeof(value)
            if isinstance(value, dict):
                todo += [*value, *value.values()]
            elif isinstance(value, (list, tuple)):
                todo += value
            elif hasattr(value, '__dict__'):
                todo.append(vars(value))
    return size
"""


class Memory(NamedTuple):
    """KB that the kernel's process needs, KB of them that IPython keeps of cells, and how many cells there were."""

    own: int
    kept: int
    cells: int

    @property
    def rest(self) -> int:
        return self.own - self.kept


class Session:
    """Runs one cell of a kind and checks all that came of it; `i` makes its text and values its own."""

    def __init__(self, kernel):
        self.kernel = kernel
        assert kernel.run(SETUP).status == "ok"
        assert kernel.run("%%parallel --quiet\nfirst = [n for n in range(100)]").status == "ok"

    def memory(self) -> Memory:
        """As it is when the session has been left alone for some seconds.

        The workers have loaded all that they ever load: those that have just been restarted need 10 MB less. What has
        retired is looked for now; else that is done ever more seldom, for it costs something. Pages of libraries are
        left out, for how many of them are in memory is a matter of the machine's other processes.
        """
        for kind in (self.parallel, self.output_of_workers, self.each, self.error_in_workers, self.background):
            kind(0)
        for _ in range(2):
            time.sleep(REST)
            self.kernel.run("gc.collect(); _core.rescan(True), _core.settle()", store_history=False)
        time.sleep(REST)
        return Memory(*ast.literal_eval(self.kernel.run("settled()", store_history=False).result))

    def cells(self) -> int:
        """How many there have been."""
        return int(self.kernel.run("len(In)", store_history=False).result)

    def plain(self, i):
        assert self.kernel.run(f"x{i % 10} = list(range({i % 500})); len(x{i % 10})").result == str(i % 500)

    def parallel(self, i):
        outcome = self.kernel.run(f"%%parallel --quiet\nfound = [row['value'] + {i} for row in rows]\nsum(found)")
        assert outcome.result == str(sum(range(500)) + 500 * i)

    def freezing(self, i):
        cell = f"%%parallel --quiet\nrows = [{{'name': f'row {{n}}', 'value': n}} for n in range(500)]\nlen(rows) + {i}"
        assert self.kernel.run(cell).result == str(500 + i)

    def output_of_workers(self, i):
        outcome = self.kernel.run(f"%%parallel --quiet\nfor n in range(300):\n    print({i}, n)")
        assert outcome.text() == "".join(f"{i} {n}\n" for n in range(300))

    def each(self, i):
        outcome = self.kernel.run(f"%%parallel --each --quiet\nprint('rank', parallel.rank, {i})")
        assert f"rank 0 {i}" in outcome.text() and outcome.status == "ok"

    def error(self, i):
        outcome = self.kernel.run(f"print('before')\n{i} / 0")
        assert outcome.reply["content"]["ename"] == "ZeroDivisionError" and outcome.text() == "before\n"
        assert [e["ename"] for e in outcome.of("error")] == ["ZeroDivisionError"]

    def error_in_workers(self, i):
        outcome = self.kernel.run(f"%%parallel --quiet\nfor n in range(100):\n    rows[n]['no such key {i}']")
        assert outcome.reply["content"]["ename"] == "KeyError", outcome.reply
        assert len(outcome.of("error")) == 1

    def output(self, i):
        outcome = self.kernel.run(f"for n in range(2000):\n    print({i}, n)")
        assert outcome.text() == "".join(f"{i} {n}\n" for n in range(2000))

    def output_of_children(self, i):
        outcome = self.kernel.run(f"print('a')\nos.system('echo {i}')\nos.write(2, b'c')\nprint('d')")
        assert outcome.text() == f"a\n{i}\nd\n" and outcome.text("stderr") == "c"

    def display(self, i):
        cell = (
            f"handle = display({i}, display_id=True)\nfor n in range(20): handle.update(n)\ndisplay('last')\n'result'"
        )
        outcome = self.kernel.run(cell)
        assert len(outcome.of("display_data")) == 2 and outcome.result == "'result'"
        assert [c["data"]["text/plain"] for c in outcome.of("update_display_data")] == [str(n) for n in range(20)]

    def questions(self, i):
        client = self.kernel.client
        ids = [
            client.complete("settl"),
            client.inspect("settled"),
            client.is_complete("if 1:"),
            client.history(hist_access_type="tail", n=3),
        ]
        replies = [self.kernel.finish(message_id).reply["content"] for message_id in ids]
        assert replies[0]["matches"] == ["settled"] and replies[1]["found"]
        assert replies[2]["status"] == "incomplete" and len(replies[3]["history"]) == 3

    def comms(self, i):
        name = f"comm {i}"
        self.kernel.published(self.kernel.shell("comm_open", {"comm_id": name, "target_name": "soak", "data": {}}))
        messages = self.kernel.published(self.kernel.shell("comm_msg", {"comm_id": name, "data": i}))
        assert [m["content"]["data"] for m in messages if m["msg_type"] == "comm_msg"] == [i]
        assert "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream") == f"got {i}\n"
        self.kernel.published(self.kernel.shell("comm_close", {"comm_id": name, "data": {}}))
        assert self.kernel.run("opened").result == "{}"

    def question_of_a_cell(self, i):
        cell = self.kernel.client.execute(f"input('which {i}? ')", allow_stdin=True)
        try:
            question = self.kernel.client.get_stdin_msg(timeout=60)
        except queue.Empty:
            raise AssertionError("no question", self.kernel.finish(cell)) from None
        assert question["content"]["prompt"] == f"which {i}? "
        self.kernel.client.input(str(i))
        assert self.kernel.finish(cell).result == f"'{i}'"

    def background(self, i):
        assert self.kernel.run(f"%%parallel --background job\nlater = [n + {i} for n in range(100)]").status == "ok"
        assert self.kernel.run("await job\nlater[-1]").result == str(99 + i)

    def subshell(self, i):
        subshell = self.kernel.control("create_subshell_request", {})["content"]["subshell_id"]
        message = self.kernel.client.session.msg("execute_request", {"code": f"print({i})"})
        message["header"]["subshell_id"] = subshell
        self.kernel.client.shell_channel.send(message)
        assert self.kernel.finish(message["header"]["msg_id"]).text() == f"{i}\n"
        assert self.kernel.control("delete_subshell_request", {"subshell_id": subshell})["content"]["status"] == "ok"

    def many_at_once(self, i):
        ids = [self.kernel.client.execute(f"{i} + {n}") for n in range(20)]
        assert [self.kernel.finish(message_id).result for message_id in ids] == [str(i + n) for n in range(20)]

    def interrupt(self, i):
        busy = ("while True: pass", "time.sleep(1000)", "await asyncio.sleep(1000)")[i % 3]
        self._interrupted(f"print('on', flush=True)\n{busy}", i)

    def interrupt_of_workers(self, i):
        self._interrupted(
            f"%%parallel --quiet --chunk 1\nfor n in range(10):\n    print('on')\n    while n < {i} + 10: pass", i
        )

    def _interrupted(self, code, i):
        cell = self.kernel.client.execute(code)
        self.kernel.wait_for_text("on")
        self.kernel.interrupt(by_message=i % 2 == 0)
        outcome = self.kernel.finish(cell)
        assert outcome.reply["content"]["ename"] == "KeyboardInterrupt"

    def restart_of_workers(self, i):
        assert self.kernel.run("%parallel restart").status == "ok"

    def idle_signal(self, i):
        os.kill(self.kernel.pid, signal.SIGINT)


KINDS = [name for name in vars(Session) if not name.startswith("_") and name not in ("memory", "cells")]
RARE = {"restart_of_workers": 0.2, "interrupt_of_workers": 0.3, "each": 0.5, "background": 0.5}
WARM = 2000  # cells
EVERY = 250  # cells, memory is measured
REST = 6.0  # seconds: the kernel gives memory back 5 s after a cell


@pytest.mark.row("a long session: memory stays, nothing is lost")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "count", [pytest.param(150, id="short"), pytest.param(5000, id="full", marks=pytest.mark.long)]
)
def test_a_long_session(new_kernel, count):
    session = Session(new_kernel())
    chance = random.Random(count)
    weights = [RARE.get(kind, 1) for kind in KINDS]
    order = [*KINDS]  # of the kinds that ran or are about to; one of them may run several cells
    chance.shuffle(order)
    memory: list[Memory] = []
    for i in itertools.count():
        if i == len(order):
            order += chance.choices(KINDS, weights, k=20)
            cells = session.cells()
            if count > 2 * WARM and cells >= (len(memory) + 1) * EVERY:
                memory.append(session.memory())
            if cells > count:
                break
        try:
            getattr(session, order[i])(i)
        except BaseException as error:
            error.add_note(f"step {i}, {order[i]}, after {order[max(0, i - 3) : i]}")
            raise
    assert session.kernel.manager.is_alive() and session.kernel.run("6 * 7").result == "42"
    if memory:
        early = [each for each in memory if WARM <= each.cells < WARM + 1000]
        late = [each for each in memory if each.cells >= count - 1000]
        before, after = (statistics.median(each.rest for each in part) for part in (early, late))
        print(
            f"memory without In, Out and history: {before / 1024:.1f} MB after {WARM} cells, {after / 1024:.1f} MB at the end"
        )
        assert after <= 1.05 * before, f"{before} {after} {[tuple(each) for each in memory]}"
