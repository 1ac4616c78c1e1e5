"""%%parallel in the kernel: there without an import, streamed, interrupted at the first press."""

import re
import time

import pytest


def test_it_is_there_without_an_import(new_kernel):
    kernel = new_kernel()
    outcome = kernel.run("%%parallel\nsquares = [n * n for n in range(1000)]")
    assert outcome.status == "ok", outcome.reply
    assert kernel.run("sum(squares)").result == str(sum(n * n for n in range(1000)))


@pytest.mark.parametrize(
    "cell",
    [
        "get_ipython().run_line_magic('lsmagic', '')",
        "%parallel",
        "%%time\n%%parallel --quiet\nsquares = [n * n for n in range(1000)]",
        "import user_of",
    ],
)
def test_whatever_names_it_first_has_it(new_kernel, tmp_path, cell):
    (tmp_path / "user_of.py").write_text("import firn\nrows = firn.freeze([1, 2, 3])\n")
    kernel = new_kernel(cwd=str(tmp_path))
    assert kernel.run(cell).status == "ok"
    assert (
        kernel.run("all(hook in str(get_ipython().events.callbacks) for hook in ('_before', '_after'))").result
        == "True"
    )


def test_a_script_that_nobody_has_seen_has_it(new_kernel, tmp_path):
    script = tmp_path / "cells.ipy"
    script.write_text(
        'get_ipython().run_cell_magic("par" "allel", "--quiet", "squares = [n * n for n in range(100)]")\n'
    )
    kernel = new_kernel()
    assert kernel.run(f"%run -i {script}").status == "ok"
    assert kernel.run("sum(squares)").result == "328350"


def test_completion_knows_it_before_it_is_used(new_kernel):
    kernel = new_kernel()
    assert kernel.reply(kernel.client.complete("%%par"))["content"]["matches"] == ["%%parallel"]


def test_a_write_to_frozen_data_names_its_variable(kernel):
    kernel.run("first, second = [1] * 1000, [{'a': [2]}] * 1000")
    assert kernel.run("%%parallel --quiet\nout = [a + b['a'][0] for a, b in zip(first, second)]").status == "ok"
    assert kernel.run("second.append(3)").reply["content"]["evalue"].startswith("'second' is frozen: ")
    assert kernel.run("first.clear()").reply["content"]["evalue"].startswith("'first' is frozen: ")


@pytest.mark.row("its output, errors and report")
def test_its_output_is_the_cells_and_in_order(kernel):
    outcome = kernel.run("%%parallel --quiet\nfor n in range(200):\n    print(n)")
    assert outcome.text() == "".join(f"{n}\n" for n in range(200))


@pytest.mark.row("its output, errors and report")
def test_output_of_every_worker(kernel):
    outcome = kernel.run("%%parallel --each --quiet\nprint('rank', parallel.rank)")
    assert "rank 0" in outcome.text()


@pytest.mark.row("its output, errors and report")
def test_what_workers_display_comes_in_order_with_what_they_print(kernel):
    outcome = kernel.run("""%%parallel --quiet --chunk 1
from IPython.display import HTML
for n in range(5):
    print("before", n)
    display(HTML(f"<b>{n}</b>"))
    print("after", n)
""")
    assert outcome.status == "ok", outcome.reply
    shown = [message["content"] for message in outcome.messages if message["msg_type"] in ("stream", "display_data")]
    text = "".join(content["text"] if "text" in content else content["data"]["text/html"] + "\n" for content in shown)
    assert text == "".join(f"before {n}\n<b>{n}</b>\nafter {n}\n" for n in range(5))


@pytest.mark.row("its output, errors and report")
@pytest.mark.long
def test_a_hundred_megabytes_arrive_whole(kernel):
    outcome = kernel.run("%%parallel --quiet\nfor n in range(1000):\n    print(str(n).zfill(102_399))")
    assert outcome.text() == "".join(f"{str(n).zfill(102_399)}\n" for n in range(1000))
    assert kernel.run("1 + 1").result == "2"


@pytest.mark.row("its output, errors and report")
def test_an_error_shows_the_line_of_the_function(kernel):
    kernel.run("# a comment\ndef inverse(n):\n    less = n - 4\n    return 1 / less")
    outcome = kernel.run("%%parallel --quiet\nout = [inverse(n) for n in range(10)]")
    (error,) = outcome.of("error")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error["traceback"]))
    assert "----> 4     return 1 / less" in shown and "----> 2 out = [inverse(n)" in shown


@pytest.mark.row("its output, errors and report")
def test_it_shows_its_report(kernel):
    outcome = kernel.run("%%parallel\nsquares = [n * n for n in range(1000)]")
    (report,) = outcome.of("display_data")
    assert "firn" in report["data"]["text/plain"]


@pytest.mark.row("an interrupt stops it")
@pytest.mark.parametrize("body", ["while True:\n        pass", "import time; time.sleep(100)"])
@pytest.mark.parametrize("by_message", [True, False])
def test_an_interrupt_stops_it_at_the_first_press(kernel, body, by_message):
    cell = kernel.client.execute(f"%%parallel --quiet\nfor n in range(100):\n    print('on', flush=True)\n    {body}")
    kernel.wait_for_text("on")
    time.sleep(0.2)
    kernel.interrupt(by_message)
    assert kernel.finish(cell).reply["content"]["ename"] == "KeyboardInterrupt"
    assert kernel.run("6 * 7").result == "42"


@pytest.mark.row("its output, errors and report")
def test_an_error_is_the_cells(kernel):
    outcome = kernel.run("%%parallel\nfor n in range(100):\n    1 / (n - 50)")
    assert outcome.status == "error"
    assert outcome.reply["content"]["ename"] == "ZeroDivisionError"


@pytest.mark.row("its output, errors and report")
def test_a_refusal_is_the_cells_error_and_the_next_cell_runs(kernel):
    outcome = kernel.run("x = 0\n%%parallel")
    assert outcome.status == "error"
    assert kernel.run("%%parallel --quiet\ntotal = sum(n for n in range(100))").status == "ok"
    assert kernel.run("total").result == "4950"


@pytest.mark.row("commands, forks and the end beside warm workers")
def test_commands_and_forks_work_beside_warm_workers(kernel):
    kernel.run("%%parallel --quiet\nsquares = [n * n for n in range(1000)]")
    assert kernel.run("!echo from the shell").text().strip() == "from the shell"
    outcome = kernel.run(
        "import os\npid = os.fork()\nif pid == 0:\n    os._exit(7)\nos.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
    )
    assert outcome.result == "7"


@pytest.mark.row("commands, forks and the end beside warm workers")
def test_the_kernel_ends_without_a_word_and_soon_with_warm_workers(new_kernel, tmp_path):
    log = tmp_path / "log"
    with open(log, "wb") as out:
        kernel = new_kernel(stdout=out, stderr=out)
        kernel.run("%%parallel --quiet\nsquares = [n * n for n in range(1000)]")
        kernel.control("shutdown_request", {"restart": False})
        assert kernel.manager.provisioner.process.wait(20) == 0
    assert log.read_text() == ""
