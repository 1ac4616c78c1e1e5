"""input() and getpass() through the front end."""

import pytest


def answer(kernel, code, *values):
    cell = kernel.client.execute(code, allow_stdin=True)
    questions = []
    for value in values:
        questions.append(kernel.client.get_stdin_msg(timeout=20)["content"])
        kernel.client.input(value)
    return kernel.finish(cell), questions


@pytest.mark.row("input, getpass, from threads")
def test_input_asks_and_answers(kernel):
    outcome, questions = answer(kernel, "a = input('first? '); b = input(); (a, b)", "one", "zwei é 𝄞")
    assert outcome.result == "('one', 'zwei é 𝄞')"
    assert questions == [{"prompt": "first? ", "password": False}, {"prompt": "", "password": False}]


@pytest.mark.row("input, getpass, from threads")
def test_getpass_hides_what_is_typed(kernel):
    outcome, questions = answer(kernel, "import getpass; getpass.getpass('secret: ')", "xyz")
    assert outcome.result == "'xyz'" and questions == [{"prompt": "secret: ", "password": True}]


@pytest.mark.row("input, getpass, from threads")
def test_output_before_a_question_comes_before_it(kernel):
    outcome, _ = answer(kernel, "print('before'); input(); print('after')", "")
    assert outcome.text() == "before\nafter\n"


@pytest.mark.row("input, getpass, from threads")
def test_a_thread_may_ask(kernel):
    code = "import threading\nanswers = []\nt = threading.Thread(target=lambda: answers.append(input('thread? ')))\nt.start(); t.join(); answers"
    assert answer(kernel, code, "yes")[0].result == "['yes']"


@pytest.mark.row("input, getpass, from threads")
def test_a_front_end_without_stdin_gets_an_error(kernel):
    outcome = kernel.run("input()", allow_stdin=False)
    assert outcome.reply["content"]["ename"] == "StdinNotImplementedError"
    assert "does not support input" in outcome.reply["content"]["evalue"]


@pytest.mark.row("input, getpass, from threads")
def test_many_questions_in_a_row(kernel):
    count = 30
    outcome, _ = answer(kernel, f"' '.join(input() for _ in range({count}))", *map(str, range(count)))
    assert outcome.result == repr(" ".join(map(str, range(count))))


def test_an_interrupt_as_it_takes_its_turn_leaves_the_turn_to_others(kernel):
    setup = (
        "import firn_kernel.stdin, threading\nlock = firn_kernel.stdin._one_question\n"
        "class Interrupted:\n"
        "    release = lock.release\n"
        "    def acquire(self, timeout):\n        lock.acquire(); raise KeyboardInterrupt\n"
        "firn_kernel.stdin._one_question = Interrupted()"
    )
    assert kernel.run(setup).status == "ok"
    assert kernel.run("input()", allow_stdin=True).reply["content"]["ename"] == "KeyboardInterrupt"
    assert kernel.run("firn_kernel.stdin._one_question = lock").status == "ok"
    code = "answers = []\nt = threading.Thread(target=lambda: answers.append(input()))\nt.start(); t.join(); answers"
    assert answer(kernel, code, "yes")[0].result == "['yes']"
