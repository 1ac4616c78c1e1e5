"""An interrupt at each boundary between an idle kernel and the question of a cell: none leaves it deaf or dumb.

A profiler in the kernel raises SIGINT at the n-th call or return that the main thread makes, Python's and C's, from the
end of the cell that sets it up on: the rest of that cell, the idle loop, the next request, IPython's way to the cell's code,
input() and the wait for its answer. A signal's handler runs at just these places.
"""

import queue
import time

import pytest

# As if it were asyncio's: the profiler's own frame shall not count as code of the user's.
SETUP = """
import asyncio, signal, sys
exec(compile('''
class AtEvent:
    def __init__(self, number):
        self.left = number
    def __call__(self, frame, event, argument):
        self.left -= 1
        if self.left == 0:
            sys.setprofile(None)
            self.where = f"{event} {frame.f_code.co_qualname}"
            signal.raise_signal(signal.SIGINT)
''', asyncio.__file__, "exec"))
at = AtEvent(0)
"""


def question_or_reply(kernel, cell):
    """Whichever of the two comes; the prompt, or the reply's content."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            return kernel.client.get_stdin_msg(timeout=0.02)["content"]["prompt"], None
        except queue.Empty:
            pass
        if kernel.client.shell_channel.msg_ready():
            return None, kernel.reply(cell)["content"]
    raise AssertionError("neither a question nor a reply")


def asked(kernel, prompt):
    """Runs a cell that asks; whether it was interrupted before."""
    cell = kernel.client.execute(f"input('{prompt}')", allow_stdin=True)
    question, reply = question_or_reply(kernel, cell)
    if question is None:
        assert reply["ename"] == "KeyboardInterrupt"
        kernel.published(cell)
        return False
    assert question == prompt
    kernel.client.input("yes")
    outcome = kernel.finish(cell)
    assert outcome.status == "ok" or outcome.reply["content"]["ename"] == "KeyboardInterrupt"
    return outcome.status == "ok"


@pytest.mark.row("an interrupt at each call on the way to a question")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("step", [pytest.param(23, id="some"), pytest.param(1, id="all", marks=pytest.mark.long)])
def test_a_question_comes_or_the_cell_says_that_it_was_interrupted(new_kernel, step):
    kernel = new_kernel()
    assert kernel.run(SETUP).status == "ok"
    went_on, interrupted, number = 0, 0, step
    while True:
        kernel.run(f"sys.setprofile(at := AtEvent({number}))")  # may be the one that is interrupted
        try:
            if asked(kernel, f"at {number}? "):
                went_on += 1
            else:
                interrupted += 1
            kernel.run("sys.setprofile(None)")
            assert asked(kernel, "again? ")
            where = kernel.run("str(getattr(at, 'where', ''))").result
        except BaseException as error:
            error.add_note(f"at event {number}")
            raise
        if where == "''":
            break  # the cell was through by then
        number += step
    print(f"{number} events: {went_on} cells went on, {interrupted} were interrupted")
    assert went_on and interrupted
