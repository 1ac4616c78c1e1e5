"""%%parallel --each: the whole cell in every worker, names that stay there, gathered lists."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def fresh(notebook):
    notebook.ok("%parallel reset")


def lines(notebook) -> list[str]:
    return sorted(notebook.out.splitlines())


def test_every_worker_runs_the_cell(notebook):
    notebook.ok("%%parallel --each\nprint('worker', parallel.rank, 'of', parallel.size)")
    assert lines(notebook) == ["[0] worker 0 of 2", "[1] worker 1 of 2"]
    assert notebook.report.way == "each" and notebook.report.workers == 2
    assert "in every worker" in notebook.reports[0]["text/plain"]


def test_using_parallel_means_each(notebook):
    notebook.ok("data = list(range(7))")
    notebook.ok("%%parallel --gather part\npart = list(parallel.split(data))")
    assert notebook["part"] == [[0, 1, 2], [3, 4, 5, 6]]
    notebook.ok("%%parallel\nprint(parallel.rank)")
    assert notebook.report.way == "each"
    assert "parallel" not in notebook


def test_gathered_lists_are_ordered_by_rank_and_plain(notebook):
    notebook.ok("%%parallel --gather a,b\na = {'rank': parallel.rank}\nb = [parallel.rank] * 3")
    assert notebook["a"] == [{"rank": 0}, {"rank": 1}]
    assert notebook["b"] == [[0, 0, 0], [1, 1, 1]]
    notebook["b"][0].append(1)


def test_names_stay_in_the_worker_until_reset(notebook):
    notebook.ok("%%parallel --each\nmine = parallel.rank * 10\ndef double():\n    return mine * 2")
    assert "mine" not in notebook
    notebook.ok("%%parallel --gather result\nresult = double() + 1")
    assert notebook["result"] == [1, 21]
    notebook.ok("%parallel")
    assert "double, mine, result" in notebook.out
    notebook.ok("%parallel reset")
    error = notebook.fails("%%parallel --each\nprint(mine)")
    assert isinstance(error, NameError) and "mine" in str(error)


def test_the_last_expression_is_shown_by_every_worker(notebook):
    notebook.ok("%%parallel --each\nparallel.rank + 0.5")
    assert lines(notebook) == ["[0] 0.5", "[1] 1.5"]
    notebook.ok("%%parallel --each\nNone")
    assert notebook.out == ""


def test_output_is_whole_lines(notebook):
    notebook.ok("""%%parallel --each
for i in range(100):
    print(i, end=" ")
    print("x")
print("end", end="")
""")
    for rank in (0, 1):
        own = [line for line in notebook.out.splitlines() if line.startswith(f"[{rank}]")]
        assert own == [f"[{rank}] {i} x" for i in range(100)] + [f"[{rank}] end"]
    assert len(notebook.out.splitlines()) == 202


def test_grouped_output_comes_worker_by_worker(notebook):
    notebook.ok("""%%parallel --group
import time
for i in range(5):
    print(i)
    time.sleep(0.02)
print("end", end="")
""")
    assert notebook.report.way == "each"
    expected = [f"[{rank}] {text}" for rank in (0, 1) for text in (0, 1, 2, 3, 4, "end")]
    assert notebook.out.splitlines() == expected


def test_grouped_output_is_there_when_a_worker_fails(notebook):
    notebook.fails("%%parallel --group\nprint('before', parallel.rank)\n1 // (parallel.rank - 1)")
    assert notebook.out.startswith("[0] before 0\n[0] -1\n[1] before 1\n")
    notebook.fails("%%parallel --group --timeout 1\nprint('before', parallel.rank)\nwhile True: pass")
    assert notebook.out.startswith("[0] before 0\n[1] before 1\n")


def test_the_notebooks_variables_are_shared_and_frozen(notebook):
    notebook.ok("rows = [{'n': i} for i in range(10)]")
    notebook.ok("%%parallel --gather s\ns = sum(r['n'] for r in rows)")
    assert notebook["s"] == [45, 45]
    error = notebook.fails("%%parallel --each\nrows.append(1)")
    assert isinstance(error, TypeError) and "frozen" in str(error)


def test_an_error_names_its_worker_once(notebook):
    error = notebook.fails("%%parallel --each\nx = 1\ny = 1 // 0")
    assert isinstance(error, ZeroDivisionError)
    assert notebook.shown.count("y = 1 // 0") >= 1 and notebook.shown.count("ZeroDivisionError: ") == 1
    assert "in worker 0" in notebook.shown


@pytest.mark.parametrize(
    "body, words",
    [
        ("await thing()", ["line 2", "await"]),
        ("x = 1\n!ls", ["line 3", "shell command"]),
        ("%who", ["magic"]),
        ("x = input()", ["input()"]),
    ],
)
def test_what_no_worker_can_do_is_refused(notebook, body, words):
    error = notebook.fails(f"%%parallel --each\n{body}")
    assert type(error).__name__ == "Refused"
    for word in words:
        assert word in str(error)


def test_gathering_what_nobody_has(notebook):
    error = notebook.fails("%%parallel --gather reslut\nresult = 1")
    assert "reslut" in str(error) and "did you mean result?" in str(error)


def test_fewer_workers(notebook):
    notebook.ok("%%parallel --workers 1 --gather r\nr = parallel.size")
    assert notebook["r"] == [1]


def test_split_parts_make_up_the_whole(notebook):
    notebook.ok("""%%parallel --gather parts
parts = [parallel.split(s) for s in (range(5), "abcdefg", (1,), [], {"k": 1, "l": 2, "m": 3})]
""")
    first, second = notebook["parts"]
    assert [len(a) + len(b) for a, b in zip(first, second, strict=True)] == [5, 7, 1, 0, 3]
    assert list(first[0]) + list(second[0]) == list(range(5))
    assert first[1] + second[1] == "abcdefg"


def test_what_the_cell_only_reads_is_not_gathered(notebook):
    notebook.ok("rows = [1, 2, 3]")
    error = notebook.fails("%%parallel --gather rows\ns = sum(r for r in rows)")
    assert "--gather rows" in str(error) and notebook["rows"] == [1, 2, 3]


def test_a_timeout_leaves_what_the_workers_have_assigned(notebook):
    error = notebook.fails("%%parallel --each --timeout 0.3\nkept = parallel.rank\nwhile True: pass")
    assert "what they had assigned stays in them" in str(error)
    notebook.ok("%%parallel --each --gather got\ngot = kept")
    assert notebook["got"] == [0, 1]
