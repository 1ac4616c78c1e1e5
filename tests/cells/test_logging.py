"""What iterations log is handled by the notebook's handlers, as if the serial cell had logged it."""

import logging
import subprocess
import sys

import pytest

SETUP = """
import logging
log = logging.getLogger("study")
deep = logging.getLogger("study.deep.down")
class Odd(Exception): pass
def checked(n):
    deep.debug("looked at %d", n)
    if n % 4 == 3:
        try:
            raise Odd(n)
        except Odd:
            log.exception("no good: %s", [n])
    return n
numbers = range(9)
"""

LOOP = """for n in numbers:
    n = checked(n)
    log.info("%(n)d of %(all)d", {"n": n, "all": 9})
    log.log(35, "at %s", n, extra={"where": {n: "here"}})
    log.warning("odd" if n % 2 else "even", stack_info=False)
    deep.error("alarm")
"""


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []
        self.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(funcName)s:%(lineno)d:%(message)s"))

    def emit(self, record):
        self.records.append((self.format(record), getattr(record, "where", None)))

    def take(self):
        found, self.records = self.records, []
        return [(text.replace("%%parallel --chunk 2", ""), where) for text, where in found]


@pytest.fixture
def kept():
    handler = Kept()
    study = logging.getLogger("study")
    study.addHandler(handler)
    before = {name: logging.getLogger(name).level for name in ("study", "study.deep", "study.deep.down")}
    disabled = logging.root.manager.disable
    yield handler
    study.removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
    logging.disable(disabled)
    study.disabled = False
    study.filters.clear()


def same(notebook, kept, loop=LOOP):
    """What the serial cell logs, which the parallel one has to log, too."""
    notebook.ok("# serially\n" + loop)
    expected = kept.take()
    notebook.ok("%%parallel --chunk 2\n" + loop)
    assert [lines(text) for text, _ in kept.take()] == [lines(text) for text, _ in expected]
    return expected


def lines(text):
    """Without the files' names, which are the cells'."""
    return [line for line in text.splitlines() if not line.startswith("  File")]


def test_levels_arguments_places_and_tracebacks_are_those_of_the_serial_cell(notebook, kept):
    notebook.ok(SETUP)
    logging.getLogger("study").setLevel(logging.DEBUG)
    found = same(notebook, kept)
    assert len(found) == 9 * 5 + 2
    assert "ERROR:study:checked:11:no good: [3]\nTraceback (most recent call last):\n" in found[16][0]
    assert found[2] == ("Level 35:study:<module>:5:at 0", {0: "here"})
    notebook.ok("%%parallel --chunk 2\n" + LOOP)
    assert [where for _, where in kept.take()] == [where for _, where in found]


def test_the_notebooks_levels_are_followed_from_cell_to_cell(notebook, kept):
    notebook.ok(SETUP)
    assert not any("DEBUG" in text or "INFO" in text for text, _ in same(notebook, kept))
    logging.getLogger("study").setLevel(logging.INFO)
    assert len(same(notebook, kept)) == 9 * 4 + 2
    logging.getLogger("study.deep").setLevel(logging.CRITICAL)
    assert len(same(notebook, kept)) == 9 * 3 + 2
    logging.getLogger("study.deep").setLevel(logging.NOTSET)
    logging.disable(logging.WARNING)
    assert len(same(notebook, kept)) == 9 * 2 + 2
    logging.disable(logging.NOTSET)
    logging.getLogger("study").disabled = True
    assert len(same(notebook, kept)) == 9


def test_the_notebooks_filters_and_level_names_hold(notebook, kept):
    notebook.ok(SETUP)
    logging.getLogger("study").addFilter(lambda record: record.getMessage() != "odd")
    assert len(same(notebook, kept)) == 9 * 3 - 4 + 2
    name = logging.getLevelName(35)
    logging.addLevelName(35, "REMARK")
    try:
        assert any(text.startswith("REMARK:study") for text, _ in same(notebook, kept))
    finally:
        logging.addLevelName(35, name)


def test_records_come_in_order_with_what_is_printed(notebook, kept):
    notebook.ok(SETUP)
    notebook.ok("import sys\nshown = logging.StreamHandler(sys.stdout)\nlog.addHandler(shown)")
    cell = "for n in numbers:\n    print('before', n)\n    log.warning('middle %d', n)\n    print('after', n)"
    try:
        notebook.ok(f"shown.setStream(sys.stdout)\n{cell}")
        expected = notebook.out
        notebook.ok(f"%%parallel --chunk 1 --quiet\nshown.setStream(sys.stdout)\n{cell}")
        assert notebook.out == expected and expected.startswith("before 0\nmiddle 0\nafter 0\nbefore 1")
    finally:
        notebook.ok("log.removeHandler(shown)")


def test_without_handlers_warnings_are_written_as_ever(notebook, monkeypatch):
    notebook.ok(SETUP)
    monkeypatch.setattr(logging.getLogger("study"), "propagate", False)  # pytest's own handlers are further up
    notebook.ok(
        "%%parallel --chunk 2 --quiet\nfor n in numbers:\n    log.info('quiet')\n    log.warning('warned of %d', n)"
    )
    assert notebook.err == "".join(f"warned of {n}\n" for n in range(9))


def test_what_does_not_pickle_is_in_the_message(notebook, kept):
    notebook.ok(SETUP)
    notebook.ok(
        "%%parallel --chunk 2\nfor n in numbers:\n    log.warning('over %s', (x for x in [n]), extra={'where': [n], 'gone': (x for x in '')})"
    )
    found = kept.take()
    assert [where for _, where in found] == [[n] for n in range(9)]
    assert all("over <generator object" in text for text, _ in found)


CONFIGURING = {
    "its own handler, beside the notebook's": (
        "for n in range(3):\n    own = logging.StreamHandler(sys.stdout)\n    log.addHandler(own)\n    log.warning('at %d', n)\n"
        "    log.removeHandler(own)"
    ),
    "one where there is none": (
        "for n in range(3):\n    if not log.handlers:\n        log.addHandler(logging.StreamHandler())\n    log.warning('at %d', n)"
    ),
    "basicConfig where there is a handler": "for n in range(3):\n    logging.basicConfig(level=10)\n    logging.info('at %d', n)",
    "what loggers say of themselves": (
        "for n in range(3):\n    print(log.hasHandlers(), len(log.handlers), log.propagate, log.level, logging.root.level)"
    ),
    "a level": "for n in range(3):\n    log.setLevel(logging.ERROR)\n    log.info('at %d', n)",
}


@pytest.mark.parametrize("what", CONFIGURING)
def test_what_a_loop_does_to_loggers_shows_as_serially_and_the_next_cell_is_none_the_wiser(notebook, kept, what):
    notebook.ok(SETUP + "import sys")
    log = logging.getLogger("study")
    log.setLevel(logging.INFO)
    cell = CONFIGURING[what]
    notebook.ok("# serially\n" + cell)
    expected = notebook.out, kept.take()
    log.setLevel(logging.INFO)
    for _ in range(2):
        notebook.ok("%%parallel --quiet --chunk 1\n" + cell)
        assert (notebook.out, kept.take()) == expected
    assert len(same(notebook, kept)) == 9 * 4 + 2


def test_the_functions_of_logging_make_a_handler_where_there_is_none(tmp_path):
    script = """
from IPython.core.interactiveshell import InteractiveShell
import logging, sys
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "firn")
for head in {heads}:
    result = shell.run_cell(head + "import logging\\nfor n in range(3):\\n    logging.warning('at %d', n)\\n    logging.info('quiet')")
    result.raise_error()
    print([type(handler).__name__ for handler in logging.root.handlers], logging.root.level)
"""
    found = []
    for heads in (["# serially\n"], ["%%parallel --quiet --chunk 1\n", "%%parallel --quiet --chunk 1\n"]):
        done = subprocess.run(
            [sys.executable, "-c", script.format(heads=heads)], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        found.append((done.stdout, done.stderr))
    assert found[0] == ("['StreamHandler'] 30\n", "".join(f"WARNING:root:at {n}\n" for n in range(3)))
    assert found[1] == (2 * found[0][0], 2 * found[0][1])


MODULE = """
import logging, sys
log = logging.getLogger(__name__)
log.setLevel(logging.INFO)
log.propagate = False
class Shown(logging.StreamHandler):
    def emit(self, record):
        print("shown", record.getMessage())
log.addHandler(Shown())
class Context(logging.Filter):
    def filter(self, record):
        record.msg = f"[context] {record.msg}"
        return True
log.addFilter(Context())
def tell(n):
    log.info("number %d", n)
"""


@pytest.mark.parametrize("known", [True, False])
def test_a_module_that_configures_its_own_logger(notebook, kept, tmp_path, monkeypatch, known):
    name = f"telling_{'known' if known else 'unknown'}_{sys.version_info[1]}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    notebook.ok(f"def tell(n):\n    import {name}\n    {name}.tell(n)")
    if known:
        notebook.ok(f"import {name}")
    for _ in range(2):
        notebook.ok("%%parallel --quiet --chunk 1 --workers 2\nfor n in range(4):\n    tell(n)")
        assert notebook.out == "".join(f"shown [context] number {n}\n" for n in range(4))
    assert not kept.take()


def test_a_logger_that_gets_a_handler_in_a_whole_cell(notebook, kept):
    notebook.ok(SETUP)
    notebook.ok(
        "%%parallel --each --quiet\nimport sys\nhere = logging.getLogger('elsewhere')\n"
        "here.addHandler(logging.StreamHandler(sys.stdout))\nhere.propagate = False\nhere.warning('mine')\nlog.warning('yours')"
    )
    assert [text.rpartition(":")[2] for text, _ in kept.take()] == ["yours", "yours"]
    assert notebook.out.count("mine\n") == 2


def test_records_of_an_executors_calls(notebook, kept):
    notebook.ok(SETUP)
    notebook.ok("import firn\nwith firn.Executor(2) as executor:\n    out = list(executor.map(checked, numbers))")
    assert notebook["out"] == [*range(9)]
    found = sorted(text.splitlines()[0] for text, _ in kept.take())
    assert found == [f"ERROR:study:checked:11:no good: [{n}]" for n in (3, 7)]


def test_the_thread_is_the_notebooks(notebook, kept):
    notebook.ok(SETUP)
    kept.setFormatter(logging.Formatter("%(threadName)s %(thread)d"))
    notebook.ok("# serially\nfor n in range(3):\n    log.warning('x')")
    expected = kept.take()
    notebook.ok("%%parallel --chunk 1\nfor n in range(3):\n    log.warning('x')")
    assert kept.take() == expected


def test_a_failing_iteration_is_the_last_that_logs(notebook, kept):
    notebook.ok(SETUP)
    error = notebook.fails("%%parallel --chunk 2\nfor n in numbers:\n    log.warning('at %d', n)\n    assert n != 5")
    assert type(error) is AssertionError
    assert [text.rpartition(":")[2] for text, _ in kept.take()] == [f"at {n}" for n in range(6)]
