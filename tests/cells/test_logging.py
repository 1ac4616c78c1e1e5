"""What iterations log is handled by the notebook's handlers, as if the serial cell had logged it."""

import logging

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
        "%%parallel --chunk 2\nfor n in numbers:\n    log.warning('over %s', (x for x in [n]), extra={'where': (x for x in '')})"
    )
    found = kept.take()
    assert len(found) == 9 and all("over <generator object" in text and where is None for text, where in found)


def test_a_logger_that_gets_a_handler_in_the_worker_keeps_its_records_there(notebook, kept):
    notebook.ok(SETUP)
    notebook.ok(
        "%%parallel --each --quiet\nimport sys\nhere = logging.getLogger('study.here')\nif not here.handlers:\n"
        "    here.addHandler(logging.StreamHandler(sys.stdout))\n    here.propagate = False\nhere.warning('mine')\nlog.warning('yours')"
    )
    assert [text.rpartition(":")[2] for text, _ in kept.take()] == ["yours", "yours"]
    assert notebook.out.count("mine\n") == 2


def test_a_failing_iteration_is_the_last_that_logs(notebook, kept):
    notebook.ok(SETUP)
    error = notebook.fails("%%parallel --chunk 2\nfor n in numbers:\n    log.warning('at %d', n)\n    assert n != 5")
    assert type(error) is AssertionError
    assert [text.rpartition(":")[2] for text, _ in kept.take()] == [f"at {n}" for n in range(6)]
