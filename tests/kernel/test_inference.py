"""What jedi found out for one completion serves the next ones, and nobody can tell from what they find."""

import asyncio
import gc
import weakref

import jedi
import pytest
from firn_kernel import inference

SETTING = """
import os, sys, time, json, asyncio, threading, collections, functools, pathlib
from datetime import datetime
class Thing:
    "A thing."
    kind = 'thing'
    def __init__(self): self.other, self.number = None, 3
    def method(self, a, *, b=1) -> str: return 'x'
    @property
    def gives_path(self): return pathlib.Path()
    @classmethod
    def make(cls): return cls()
thing = Thing(); thing.other = Thing()
table, words = {'first': 1, 'second': {'third': 2}}, ['a', 'b']
def function(alpha, beta=2): return alpha
partial = functools.partial(function, beta=3)
"""
CODES = [
    "os.", "os.p", "os.path", "os.path.", "os.path.is", "os.path.isd", "time.s", "time.st", "json.", "json.d", "thing.",
    "thing.o", "thing.other.", "thing.other.me", "thing.gives_path.", "thing.method().", "thing.method().up", "Thing.ma",
    "Thing.make().nu", "function(", "function(al", "partial(be", "words[0].", "words.ap", "table['f", "table['second'].",
    "[1, 2].", "'text'.up", "x = thing\nx.", "x = thing\nx.kin", "import js", "import json.", "from os import pa",
    "import collections as c\nc.Or", "def f(value):\n    value = words\n    value.ex", "for w in words:\n    w.ca",
    "class New(Thing):\n    def g(self):\n        self.", "datetime.now().y", "th", "pri", "os.environ.g", "thing.nothing",
    "collections.OrderedDict().mo", "pathlib.Path().par", "lambda q: q.", "thing.number.", "%tim", "async def f():\n    asyncio.sl",
]  # fmt: skip

# In a kernel: how often jedi has begun from nothing.
COUNT = """
import jedi.inference
begun, begin = [], jedi.inference.InferenceState.__init__
def beginning(self, *arguments, **options):
    begun.append(1)
    begin(self, *arguments, **options)
jedi.inference.InferenceState.__init__ = beginning
"""


def completed(kernel, code):
    """Matches with their places, types and signatures. (The types of what is imported differ from one fresh state of jedi's
    to the next: it goes through a set.)"""
    content = kernel.reply(kernel.client.complete(code))["content"]
    assert content["status"] == "ok"
    found = content["metadata"]["_jupyter_types_experimental"]
    places = (content["cursor_start"], content["cursor_end"])
    typed = "import" not in code
    return places, [(one["text"], one["type"] if typed else "", one["signature"]) for one in found]


@pytest.fixture
def session(kernel):
    """The module's kernel, where what is known lives for as long as a loaded machine takes."""
    assert kernel.run(SETTING + "from firn_kernel import inference; inference.LIFETIME = 1000.0").status == "ok"
    return kernel


@pytest.fixture
def counting(session):
    assert session.run(COUNT).status == "ok"
    yield session
    assert session.run("jedi.inference.InferenceState.__init__ = begin").status == "ok"


def begun(kernel):
    count = int(kernel.run("len(begun)").result)
    assert kernel.run("begun.clear()").status == "ok"
    return count


def test_completions_in_a_row_find_what_each_finds_alone(session):
    """Forwards and backwards: what one of them leaves changes no answer to another."""
    session.run("%config Completer.jedi_compute_type_timeout = 60000")
    alone = {}
    for code in CODES:
        session.run("pass", silent=True)  # the next one begins from nothing
        alone[code] = completed(session, code)
    for code in [*CODES, *reversed(CODES)]:
        assert completed(session, code) == alone[code], code
    assert sum(len(found) > 0 for _, found in alone.values()) > len(CODES) * 0.8


def test_a_question_that_was_asked_hundreds_of_times_has_its_answer(session):
    """jedi looks at no piece of code more than some hundred times for one state."""
    first = completed(session, "thing.method().up")
    for _ in range(400):
        assert completed(session, "thing.method().up") == first


def test_completions_in_a_row_begin_once(counting):
    begun(counting)
    for code in ("os.", "os.pa", "thing.", "os.path.is"):
        completed(counting, code)
    assert begun(counting) == 1


@pytest.mark.parametrize(
    "beside, end",
    [
        ("task = asyncio.create_task(asyncio.sleep(1000))", "task.cancel()"),
        ("timer = asyncio.get_running_loop().call_later(1000, print)", "timer.cancel()"),
        (
            "on = threading.Event(); thread = threading.Thread(target=on.wait, daemon=True); thread.start()",
            "on.set(); thread.join()",
        ),
        (
            "pipe = os.pipe(); asyncio.get_running_loop().add_reader(pipe[0], print)",
            "asyncio.get_running_loop().remove_reader(pipe[0])",
        ),
    ],
)
def test_beside_what_may_change_things_each_begins_anew(counting, beside, end):
    assert counting.run(beside).status == "ok"
    begun(counting)
    for code in ("os.", "os.pa", "thing."):
        completed(counting, code)
    assert begun(counting) == 3
    assert counting.run(end).status == "ok"


@pytest.mark.parametrize("kind", ["execute_request", "inspect_request", "comm_open", "debug_request"])
def test_after_a_request_that_runs_code_completions_begin_anew(counting, kind):
    begun(counting)
    completed(counting, "thing.")
    match kind:
        case "execute_request":
            counting.run("1")
        case "inspect_request":
            counting.reply(counting.client.inspect("thing"))
        case "comm_open":
            counting.published(counting.shell(kind, {"comm_id": "1", "target_name": "no such", "data": {}}))
        case "debug_request":
            counting.control(kind, {"type": "request", "seq": 1, "command": "debugInfo", "arguments": {}})
    completed(counting, "thing.")
    assert begun(counting) == 2


def test_a_background_tasks_new_attribute_is_found(session):
    session.run(
        "async def later():\n    await asyncio.sleep(0.3)\n    thing.brand_new = 1\ntask = asyncio.create_task(later())"
    )
    assert completed(session, "thing.brand")[1] == []
    session.run("await task")
    assert [text for text, _, _ in completed(session, "thing.brand")[1]] == ["brand_new"]


def test_garbage_is_collected_after_a_completion(kernel):
    kernel.run("import gc, os\ngc.enable()")
    completed(kernel, "os.path.is")
    assert kernel.run("gc.isenabled()").result == "True"
    kernel.run("gc.disable()")
    completed(kernel, "os.path.is")
    assert kernel.run("gc.isenabled(), gc.enable()").result == "(False, None)"


async def test_what_is_known_lives_for_some_seconds(monkeypatch):
    monkeypatch.setattr(inference, "LIFETIME", 0.05)
    kept, loop = inference.KeptInference(), asyncio.get_running_loop()
    with kept.used(loop):
        jedi.Interpreter("loop.ti", [{"loop": loop}]).complete()
    state = weakref.ref(kept._state)
    assert state() is not None
    async with asyncio.timeout(60):
        while state() is not None:
            await asyncio.sleep(0.05)
            gc.collect()


async def test_what_was_broken_off_is_forgotten():
    kept, loop = inference.KeptInference(), asyncio.get_running_loop()
    with pytest.raises(KeyboardInterrupt), kept.used(loop):
        jedi.Interpreter("loop.ti", [{"loop": loop}]).complete()
        raise KeyboardInterrupt
    assert kept._state is None
    with kept.used(loop):
        jedi.Interpreter("loop.ti", [{"loop": loop}]).complete()
        kept.forget()  # the interrupt's handler; IPython catches what it raises
    assert kept._state is None
    await asyncio.sleep(0)
    assert gc.isenabled()
