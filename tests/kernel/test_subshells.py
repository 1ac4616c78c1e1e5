"""Subshells (JEP 91): cells, completions and comms beside a cell that runs."""

import time

import pytest


@pytest.fixture
def subshell(kernel):
    created = kernel.control("create_subshell_request", {})["content"]
    assert created["status"] == "ok"
    yield created["subshell_id"]
    kernel.control("delete_subshell_request", {"subshell_id": created["subshell_id"]})


@pytest.fixture
def busy(kernel):
    """A cell that keeps the main shell busy until the test is over."""
    cell = kernel.client.execute(
        "import time\nbusy = True\nprint('on', flush=True)\nwhile busy:\n    time.sleep(0.01)\n'end'"
    )
    kernel.wait_for_text("on")
    yield cell
    kernel.control("interrupt_request", {})
    kernel.reply(cell)


def send(kernel, subshell, kind, content):
    message = kernel.client.session.msg(kind, content)
    message["header"]["subshell_id"] = subshell
    kernel.client.shell_channel.send(message)
    return message["header"]["msg_id"]


def run(kernel, subshell, code, **options):
    return kernel.finish(send(kernel, subshell, "execute_request", {"code": code, **options}))


@pytest.mark.row("created, listed, deleted")
def test_the_kernel_says_that_it_has_them(kernel):
    reply = kernel.control("kernel_info_request", {})
    assert "kernel subshells" in reply["content"]["supported_features"]


@pytest.mark.row("created, listed, deleted")
def test_they_are_created_listed_and_deleted(kernel):
    one, two = (kernel.control("create_subshell_request", {})["content"]["subshell_id"] for _ in range(2))
    assert kernel.control("list_subshell_request", {})["content"] == {"status": "ok", "subshell_id": [one, two]}
    assert kernel.control("delete_subshell_request", {"subshell_id": one})["content"] == {"status": "ok"}
    assert kernel.control("list_subshell_request", {})["content"]["subshell_id"] == [two]
    kernel.control("delete_subshell_request", {"subshell_id": two})


def test_who_deletes_what_is_not_there_is_told(kernel):
    two = kernel.control("create_subshell_request", {})["content"]["subshell_id"]
    kernel.control("delete_subshell_request", {"subshell_id": two})
    again = kernel.control("delete_subshell_request", {"subshell_id": two})["content"]
    assert again["status"] == "error" and two in again["evalue"]
    assert kernel.control("delete_subshell_request", {})["content"]["status"] == "error"


def test_who_connects_while_a_cell_runs_learns_that_there_are_subshells(kernel, busy):
    outcome = kernel.finish(kernel.shell("kernel_info_request", {}))
    assert "kernel subshells" in outcome.reply["content"]["supported_features"]
    assert outcome.reply["content"]["protocol_version"].startswith("5.")
    assert [status["execution_state"] for status in outcome.of("status")] == ["busy", "idle"]


@pytest.mark.row("cells, completion, input beside a cell")
def test_a_cell_runs_beside_another(kernel, busy, subshell):
    outcome = run(kernel, subshell, "print('beside'); busy")
    assert outcome.result == "True" and outcome.text() == "beside\n"
    assert {m["parent_header"]["subshell_id"] for m in outcome.messages} == {subshell}


@pytest.mark.row("cells, completion, input beside a cell")
def test_completion_and_inspection_answer_beside_a_cell(kernel, busy, subshell):
    reply = kernel.reply(send(kernel, subshell, "complete_request", {"code": "bus", "cursor_pos": 3}))
    assert "busy" in reply["content"]["matches"]
    reply = kernel.reply(
        send(kernel, subshell, "inspect_request", {"code": "busy", "cursor_pos": 2, "detail_level": 0})
    )
    assert reply["content"]["found"]


@pytest.mark.row("cells, completion, input beside a cell")
def test_results_and_numbers_stay_with_their_cells(kernel, subshell):
    first = kernel.client.execute(
        "import time\nwait = True\nprint('on', flush=True)\nwhile wait: time.sleep(0.01)\n'the first'"
    )
    kernel.wait_for_text("on")
    second = run(kernel, subshell, "'the second'")
    send(kernel, subshell, "execute_request", {"code": "wait = False"})
    outcome = kernel.finish(first)
    numbers = [o.reply["content"]["execution_count"] for o in (outcome, second)]
    assert numbers[1] == numbers[0] + 1
    assert [o.of("execute_result")[0]["execution_count"] for o in (outcome, second)] == numbers
    assert (outcome.result, second.result) == ("'the first'", "'the second'")
    assert kernel.run(f"Out[{numbers[0]}], Out[{numbers[1]}]").result == "('the first', 'the second')"


@pytest.mark.row("cells, completion, input beside a cell")
def test_payloads_stay_with_their_cells(kernel, busy, subshell):
    outcome = run(kernel, subshell, "get_ipython().set_next_input('x = 1')")
    assert [p["source"] for p in outcome.reply["content"]["payload"]] == ["set_next_input"]


@pytest.mark.row("cells, completion, input beside a cell")
def test_asyncio_runs_in_each(kernel, subshell):
    kernel.run("import asyncio, threading")
    code = "await asyncio.sleep(0.01)\nthreading.current_thread() is threading.main_thread()"
    assert run(kernel, subshell, code).result == "False"
    assert kernel.run(code).result == "True"


@pytest.mark.row("each its queue, errors, interrupts")
def test_errors_come_back_and_abort_only_their_own_queue(kernel, busy, subshell):
    failing = send(kernel, subshell, "execute_request", {"code": "import time; time.sleep(0.3); 1 / 0"})
    queued = send(kernel, subshell, "execute_request", {"code": "'never'"})
    assert kernel.reply(failing)["content"]["ename"] == "ZeroDivisionError"
    assert kernel.reply(queued)["content"]["status"] != "ok"
    assert run(kernel, subshell, "'goes on'").result == "'goes on'"


@pytest.mark.row("each its queue, errors, interrupts")
@pytest.mark.parametrize("code", ["while True: pass", "import asyncio; await asyncio.sleep(100)"])
def test_an_interrupt_stops_a_cell_in_a_subshell(kernel, subshell, code):
    cell = send(kernel, subshell, "execute_request", {"code": f"print('on', flush=True)\n{code}"})
    kernel.wait_for_text("on")
    time.sleep(0.1)
    kernel.control("interrupt_request", {})
    assert kernel.finish(cell).reply["content"]["ename"] == "KeyboardInterrupt"
    assert run(kernel, subshell, "6 * 7").result == "42"


def test_a_cells_child_process_can_be_terminated(kernel, subshell):
    cell = "import subprocess\nchild = subprocess.Popen(['sleep', '1000'])\nchild.terminate()\nprint(child.wait(60))"
    assert run(kernel, subshell, cell).text() == "-15\n"


@pytest.mark.row("cells, completion, input beside a cell")
def test_input_asks_the_cells_own_client(kernel, busy, subshell):
    cell = send(kernel, subshell, "execute_request", {"code": "input('name? ')", "allow_stdin": True})
    question = kernel.client.get_stdin_msg(timeout=10)
    assert question["parent_header"]["msg_id"] == cell
    kernel.client.input("firn")
    assert kernel.finish(cell).result == "'firn'"


@pytest.mark.row("cells, completion, input beside a cell")
def test_input_is_refused_where_the_client_does_not_answer(kernel, subshell):
    outcome = run(kernel, subshell, "input()", allow_stdin=False)
    assert outcome.reply["content"]["ename"] == "StdinNotImplementedError"


@pytest.mark.row("in a subshell")
def test_a_parallel_cell_runs_in_a_subshell(kernel, busy, subshell):
    run(kernel, subshell, "numbers = list(range(10_000))")
    outcome = run(kernel, subshell, "%%parallel\ntotal = sum(n * n for n in numbers)\ntotal")
    assert outcome.result == str(sum(n * n for n in range(10_000)))


@pytest.mark.row("in a subshell")
def test_a_parallel_cell_waits_for_its_turn_and_can_be_interrupted(kernel, subshell):
    kernel.run("import time")
    first = kernel.client.execute(
        "%%parallel\nprint('on', flush=True)\nslow = [time.sleep(0.02) for _ in range(10_000)]"
    )
    kernel.wait_for_text("on")
    second = send(kernel, subshell, "execute_request", {"code": "%%parallel\nfast = [n for n in range(100)]"})
    time.sleep(0.5)
    kernel.control("interrupt_request", {})
    replies = {}
    while replies.keys() != {first, second}:
        message = kernel.client.get_shell_msg(timeout=20)
        replies[message["parent_header"]["msg_id"]] = message["content"].get("ename")
    assert set(replies.values()) == {"KeyboardInterrupt"}
    assert run(kernel, subshell, "%%parallel\nfast = [n for n in range(100)]\nlen(fast)").result == "100"


@pytest.mark.row("created, listed, deleted")
def test_a_request_to_a_subshell_that_is_gone_is_answered(kernel):
    created = kernel.control("create_subshell_request", {})["content"]["subshell_id"]
    kernel.control("delete_subshell_request", {"subshell_id": created})
    outcome = run(kernel, created, "ran = True")
    assert outcome.status == "error"
    assert kernel.run("'ran' in globals()").result == "False"


def test_a_subshells_last_cell_ends_after_its_deletion(kernel):
    subshell = kernel.control("create_subshell_request", {})["content"]["subshell_id"]
    cell = send(kernel, subshell, "execute_request", {"code": "import time; time.sleep(0.5); 'ended'"})
    time.sleep(0.1)
    kernel.control("delete_subshell_request", {"subshell_id": subshell})
    assert kernel.finish(cell).result == "'ended'"
    threads = "[t for t in threading.enumerate() if t.name == 'firn-subshell']"
    kernel.run(f"import threading\nfor thread in {threads}: thread.join(60)")  # it ends some time after the reply
    assert kernel.run(threads).result == "[]"


def test_many_cells_in_many_subshells(kernel):
    subshells = [kernel.control("create_subshell_request", {})["content"]["subshell_id"] for _ in range(5)]
    kernel.run("import sys; ran = []; often = sys.getswitchinterval(); sys.setswitchinterval(1e-6)")
    sent = [
        (s, n, send(kernel, s, "execute_request", {"code": f"ran.append(({k}, {n})); {n}"}))
        for n in range(40)
        for k, s in enumerate(subshells)
    ]
    replies = {}
    while len(replies) < len(sent):
        message = kernel.client.get_shell_msg(timeout=20)
        replies[message["parent_header"]["msg_id"]] = message["content"]
    assert [replies[cell] for _, _, cell in sent if replies[cell]["status"] != "ok"] == []
    counts = [replies[cell]["execution_count"] for _, _, cell in sent]
    assert len(set(counts)) == len(counts)
    kernel.run("sys.setswitchinterval(often)")
    assert kernel.run("sorted(ran) == sorted({*ran}) and len(ran)").result == "200"
    for s in subshells:
        kernel.control("delete_subshell_request", {"subshell_id": s})


@pytest.mark.row("each its queue, errors, interrupts")
def test_a_kernel_with_busy_subshells_shuts_down(new_kernel):
    kernel = new_kernel()
    subshell = kernel.control("create_subshell_request", {})["content"]["subshell_id"]
    send(kernel, subshell, "execute_request", {"code": "print('on', flush=True)\nwhile True: pass"})
    kernel.wait_for_text("on")
    other = kernel.control("create_subshell_request", {})["content"]["subshell_id"]
    send(kernel, other, "execute_request", {"code": "import time; print('two', flush=True); time.sleep(100)"})
    kernel.wait_for_text("two")
    process = kernel.process
    began = time.monotonic()
    kernel.control("shutdown_request", {"restart": False})
    assert process.wait(timeout=20) == 0
    assert time.monotonic() - began < 20
