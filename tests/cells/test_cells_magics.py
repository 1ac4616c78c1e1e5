"""%parallel, %frozen, %thaw, the options and their completion."""

from __future__ import annotations

import re

import pytest
from firn import options
from firn.completion import candidates


def test_parallel_shows_the_workers_and_changes_their_number(notebook):
    notebook.ok("%%parallel\nout = [x for x in range(10)]")
    notebook.ok("%parallel")
    assert notebook.out.startswith("2 workers: ")
    notebook.ok("%parallel workers 1")
    assert notebook.out == "1 worker from now on\n"
    notebook.ok("%parallel workers 3")
    assert notebook.out == "3 workers from now on\n"
    notebook.ok("%parallel workers")
    assert notebook.out == "3\n"
    notebook.ok("%%parallel --gather n\nn = parallel.rank")
    assert notebook["n"] == [0, 1, 2]
    notebook.ok("%parallel workers 2")
    notebook.ok("%parallel")
    assert notebook.out.startswith("2 workers: ")
    notebook.ok("%%parallel --gather n\nn = parallel.rank")
    assert notebook["n"] == [0, 1]


def test_reset_says_what_the_workers_had(notebook):
    notebook.ok("%parallel reset")
    notebook.ok("%%parallel --each\nmine, yours = 1, 2")
    notebook.ok("%parallel reset")
    assert notebook.out == "forgotten in the workers: mine, yours\n"
    notebook.ok("%parallel reset")
    assert notebook.out == "the workers had no variables of --each cells\n"
    notebook.fails("%%parallel --each\nmine")


def test_more_workers_than_there_are_is_noted(notebook):
    for line in ("--workers 100", "--workers 100 --each"):
        notebook.ok(f"%%parallel {line}\nout = [x for x in range(10)]")
        assert "--workers 100: there are 2 workers" in str(notebook.report)
    notebook.ok("%%parallel --workers 2\nout = [x for x in range(10)]")
    assert "there are" not in str(notebook.report)


def test_restart_and_history(notebook):
    notebook.ok("%%parallel --each\nmine = 1")
    notebook.ok("%parallel restart")
    assert notebook.out == "2 new workers: what the old ones had is gone\n"
    notebook.fails("%%parallel --each\nmine")
    notebook.ok("%%parallel\nout = [x for x in range(10)]")
    notebook.ok("%parallel history")
    last = notebook.reports[0]["text/plain"].splitlines()[-2]
    assert last.lstrip().startswith(f"[{notebook.report.cell}]")


@pytest.mark.parametrize(
    "line, words",
    [
        ("%parallel restrat", ["restrat", "did you mean restart?"]),
        ("%parallel workers many", ["number"]),
        ("%parallel history extra", ["nothing follows history", "'extra'"]),
        ("%parallel restart now", ["nothing follows restart", "'now'"]),
        ("%frozen plain other", ["plain other", "one variable"]),
        ("%frozen plain.other", ["plain.other", "AttributeError", "'other'"]),
        ("%frozen plain[3]", ["plain[3]", "IndexError"]),
        ("%thaw", ["name"]),
        ("%thaw nothing_here", ["nothing_here"]),
        ("%thaw plain", ["plain", "not frozen"]),
    ],
)
def test_line_magics_with_wrong_words(notebook, line, words):
    notebook.ok("plain = [1]")
    error = notebook.fails(line)
    for word in words:
        assert word in str(error)
    assert "Traceback" not in notebook.shown


def test_frozen_lists_the_variables_and_thaw_gives_a_copy(notebook):
    notebook.ok("%frozen")
    notebook.ok("rows = [{'n': i} for i in range(10)]\nnames = {'a': 1}")
    notebook.ok("%%parallel\nout = [r['n'] + names['a'] for r in rows]")
    notebook.ok("%frozen")
    head, *table = notebook.reports[-1]["text/plain"].splitlines()
    assert head.split() == ["name", "type", "objects", "size", "cell", "age", "state"]
    assert "<code class=''>rows, names</code>" in notebook.reports[-1]["text/html"].replace(
        "names, rows", "rows, names"
    )
    assert any("rows" in line and "list" in line for line in table)
    notebook.ok("%thaw rows names")
    notebook["rows"].append(1)
    notebook["names"]["b"] = 2
    notebook.ok("%frozen")
    assert not any(line.startswith("rows ") for line in notebook.reports[-1]["text/plain"].splitlines())


def test_every_option_is_in_the_manual_with_an_example():
    from firn.manual import CELL, LINE

    for option in options.option_strings():
        assert f"{option} " in CELL and f"%%parallel {options.EXAMPLES[option]}" in " ".join(CELL.split())
        assert options.parse(options.EXAMPLES[option]) != options.Options()
    assert options.EXAMPLES.keys() == set(options.option_strings())
    assert CELL[1:] in LINE and all(len(line) <= 120 for line in CELL.splitlines())


def test_the_examples_of_the_manual_run(notebook):
    from firn.manual import CELL

    notebook.ok("""
import re
from collections import Counter
pattern = re.compile("a")
packages = [{"Description": "ab", "Size": "3", "Section": "s"}, {"Description": "c", "Size": "4", "Section": "s"}]
rows = [{"text": "one two"}] * 5
""")
    examples = re.findall(r"(?:^  (?:%%|[a-z ]).*\n)+", CELL, re.MULTILINE)
    cells = [
        re.sub(r"^  ", "", example, flags=re.MULTILINE) for example in examples if example.startswith("  %%parallel")
    ]
    assert len(cells) >= 4
    for cell in cells:
        if "[options]" not in cell:
            notebook.ok(cell)
    assert notebook["total"] == 7 and notebook["by_section"] == {"s": 2} and len(notebook["hits"]) == 1
    assert sum(notebook["part"]) == 35
    assert notebook["job"].result() == 1


def test_options_are_read_as_a_shell_reads_them():
    read = options.parse("--copy a,b -c c --chunk=5 --timeout 1.5 -w 3 -q  # a comment")
    assert read.copy == {"a", "b", "c"} and read.chunk == 5 and read.timeout == 1.5
    assert read.workers == 3 and read.quiet and not read.each
    assert options.parse("--gather x").each
    assert options.parse("") == options.Options()
    assert options.parse("--workers {n}", {"n": 4}).workers == 4


@pytest.mark.parametrize(
    "text, found",
    [
        ("%%parallel --ga", ["--gather"]),
        ("%%parallel --compare ", ["sample", "full", "off"]),
        ("%%parallel --compare f", ["full"]),
        ("%%parallel --copy ro", ["rows"]),
        ("%%parallel --copy rows,na", ["rows,names"]),
        ("%%parallel --serial --ser", []),
        ("%%parallel --share ro", ["rows"]),
        ("%%parallel --workers ", []),
        ("%%parallel --each ", [option for option in options.option_strings() if option != "--each"]),
        ("%parallel re", ["restart", "reset"]),
        ("%thaw r", ["rows"]),
        ("%%parallel x", []),
    ],
)
def test_completion(text, found):
    assert candidates(text, ["rows", "names"]) == found


@pytest.mark.parametrize("line", ["%%parallel --background ", "%%parallel --background i", "%%parallel --chunk "])
def test_nothing_is_offered_for_what_is_the_users_to_choose(notebook, line):
    _, found = notebook.shell.complete(None, line, len(line))
    assert found == [line.rpartition(" ")[2]]  # which is there already
