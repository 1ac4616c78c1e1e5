"""Output: complete, in order, few messages, and before idle."""

import pytest


@pytest.mark.row("200 prints are few messages")
def test_two_hundred_prints_are_a_handful_of_messages(kernel):
    outcome = kernel.run("for i in range(200):\n    print(i)")
    assert outcome.text() == "".join(f"{i}\n" for i in range(200))
    assert len(outcome.of("stream")) <= 10


@pytest.mark.row("20,000 prints: complete, idle last")
def test_twenty_thousand_prints_arrive_complete_in_few_messages(kernel):
    outcome = kernel.run("for i in range(20_000):\n    print(i)")
    assert outcome.text() == "".join(f"{i}\n" for i in range(20_000))
    assert len(outcome.of("stream")) <= 50
    assert outcome.messages[-1]["content"] == {"execution_state": "idle"}


def test_every_character_arrives_as_it_is(kernel):
    """At every offset: text is escaped eight bytes at a time."""
    characters = "".join(map(chr, [*range(0x250), 0x2028, 0xD7FF, 0xE000, 0xFFFD, 0x10000, 0x10FFFF]))
    outcome = kernel.run(
        f"import sys\ncharacters = ''.join(map(chr, {[*map(ord, characters)]}))\n"
        "for n in range(9):\n    sys.stdout.write('x' * n + characters + '\"' * n)"
    )
    assert outcome.text() == "".join("x" * n + characters + '"' * n for n in range(9))


@pytest.mark.row("20 MB of prints")
def test_twenty_megabytes_arrive_complete(kernel):
    outcome = kernel.run("line = 'x' * 99 + '\\n'\nfor i in range(200_000):\n    print(line, end='')")
    assert len(outcome.text()) == 20_000_000


@pytest.mark.row("20,000 displays and their idle")
def test_twenty_thousand_displays_and_their_idle_arrive(kernel):
    outcome = kernel.run("for i in range(20_000):\n    display(i)")
    assert [content["data"]["text/plain"] for content in outcome.of("display_data")] == [str(i) for i in range(20_000)]


@pytest.mark.row("order of streams, displays and descriptors")
def test_order_of_streams_displays_and_descriptors(kernel):
    outcome = kernel.run(
        "import os, sys\n"
        "print('a'); print('b', file=sys.stderr); os.write(1, b'c\\n'); print('d'); display('e'); os.write(2, b'f\\n'); 'g'"
    )
    seen = [
        (m["content"]["name"], m["content"]["text"]) if m["msg_type"] == "stream" else m["msg_type"]
        for m in outcome.messages
        if m["msg_type"] not in ("status", "execute_input")
    ]
    assert seen == [
        ("stdout", "a\n"),
        ("stderr", "b\n"),
        ("stdout", "c\nd\n"),
        "display_data",
        ("stderr", "f\n"),
        "execute_result",
    ]


@pytest.mark.row("output of child processes, C, os.write")
def test_output_of_child_processes_and_c_code(kernel):
    outcome = kernel.run(
        "import subprocess, ctypes, os\n"
        "subprocess.run(['echo', 'from a child'])\n"
        "os.system('echo from a shell')\n"
        "libc = ctypes.CDLL(None); libc.puts(b'from C'); libc.fflush(None)\n"
        "subprocess.run(['echo', 'given stdout'], stdout=__import__('sys').stdout);"
    )
    for text in ("from a child", "from a shell", "from C", "given stdout"):
        assert text in outcome.text()


@pytest.mark.row("output of child processes, C, os.write")
def test_a_megabyte_written_to_the_descriptor_does_not_block(kernel):
    outcome = kernel.run("import os\nfor _ in range(64):\n    os.write(1, b'y' * 65536)\nNone")
    assert outcome.text() == "y" * (64 * 65536)


@pytest.mark.row("output of child processes, C, os.write")
def test_ill_formed_utf8_is_replaced(kernel):
    outcome = kernel.run(r"import os; os.write(1, b'\xff\xc3'); os.write(1, b'\xa9\n'); os.write(1, b'\xe2\x82'); None")
    assert outcome.status == "ok"
    assert outcome.text() == "\ufffd\u00e9\n"
    assert kernel.run("os.write(1, b'next\\n'); None").text() == "next\n"


@pytest.mark.row("output of threads")
def test_output_of_a_thread_belongs_to_the_running_cell(kernel):
    kernel.run(
        "import threading, time\nflag = threading.Event()\n"
        "def work():\n    flag.wait(20); print('from the thread')\nthread = threading.Thread(target=work); thread.start()"
    )
    outcome = kernel.run("flag.set(); thread.join()")
    assert outcome.text() == "from the thread\n"


@pytest.mark.row("output of tasks is their cell's")
def test_output_of_a_background_task_belongs_to_its_cell(kernel):
    starter = kernel.client.execute(
        "import asyncio\nasync def later():\n    await asyncio.sleep(0.2); print('late')\ntask = asyncio.create_task(later())"
    )
    kernel.finish(starter)
    kernel.run("await task")
    # nothing of it was published with the second cell
    message = kernel.client.history(n=1)
    kernel.reply(message)
    kernel.published(message)


@pytest.mark.row("encoding, fileno, faulthandler")
def test_streams_are_what_libraries_expect(kernel):
    outcome = kernel.run(
        "import os, sys, faulthandler\n"
        "sys.stdout.encoding.lower(), os.fstat(sys.stdout.fileno()) is None, os.fstat(sys.stderr.fileno()) is None, "
        "sys.stdout.isatty(), sys.stdout.writable(), faulthandler.is_enabled()"
    )
    assert outcome.result == "('utf-8', False, False, False, True, True)"
    assert kernel.run("sys.stdout.write(5)").reply["content"]["ename"] == "TypeError"
    assert kernel.run("faulthandler.enable(); faulthandler.dump_traceback()").status == "ok"


@pytest.mark.row("sys.stdout.buffer takes bytes")
def test_bytes_go_through_the_buffer(kernel):
    assert kernel.run("import sys; sys.stdout.buffer.write(b'bytes\\n'); sys.stdout.flush()").text() == "bytes\n"


def test_the_descriptors_are_the_streams(kernel):
    assert kernel.run("sys.stdout.fileno(), sys.stderr.fileno()").result == "(1, 2)"


@pytest.mark.row("output of child processes, C, os.write")
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_of_multiprocessing_print(kernel, method, tmp_path):
    (tmp_path / f"child_{method}.py").write_text("def work():\n    print('printed by the child', flush=True)\n")
    outcome = kernel.run(
        f"import sys, multiprocessing as mp\nsys.path.insert(1, {str(tmp_path)!r})\nimport child_{method}\n"
        f"p = mp.get_context({method!r}).Process(target=child_{method}.work); p.start(); p.join(); p.exitcode"
    )
    assert outcome.result == "0", outcome.text("stderr")
    assert outcome.text() == "printed by the child\n"


@pytest.mark.row("forked children of a cell")
def test_a_forked_child_that_returns_from_its_cell_ends(kernel):
    outcome = kernel.run(
        "import os\npid = os.fork()\nif pid == 0:\n    print('child')\nelse:\n    _, status = os.waitpid(pid, 0)\n    print('parent', status)"
    )
    assert sorted(outcome.text().splitlines()) == ["child", "parent 0"]
    assert kernel.run("1 + 1").result == "2"


def test_descriptors_led_elsewhere_for_good_cost_no_time(new_kernel):
    code = """
import os, time
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
os.dup2(1, 2)
before = time.process_time()
time.sleep(0.6)
print(time.process_time() - before < 0.3)
"""
    assert new_kernel().run(code).text() == "True\n"
