"""`for row in tqdm(rows)`: the rows are shared like any others, and the user's own bar shows how far the loop is."""

import io

import pytest
from firn import driver
from firn.progress import Progress

tqdm = pytest.importorskip("tqdm")


@pytest.fixture
def bars(notebook):
    """Cells have `bar(...)`, which makes one that writes to `drawn`, and all that were made in `made`."""
    made, drawn = [], io.StringIO()

    def bar(*arguments, **options):
        made.append(tqdm.tqdm(*arguments, file=drawn, mininterval=0, **options))
        return made[-1]

    notebook.shell.user_ns.update(bar=bar, made=made, drawn=drawn)
    yield made
    for one in made:
        one.close()


@pytest.mark.parametrize(
    "loop",
    [
        "out = [row['n'] + 1 for row in bar(rows)]",
        "out = []\nfor row in bar(rows):\n    out.append(row['n'] + 1)",
        "out = []\nfor i, row in enumerate(bar(rows), 1):\n    out.append(row['n'] + i - row['n'])",
        "out = []\nfor i, row in bar(enumerate(rows, 1), total=len(rows)):\n    out.append(i)",
        "one = bar(rows)\nout = [row['n'] + 1 for row in one]",
        "one = iter(rows)\nout = [row['n'] + 1 for row in bar(one, total=40)]\nassert next(one, None) is None",
    ],
)
def test_what_is_inside_is_shared_by_reference(notebook, bars, loop):
    notebook.ok("rows = [{'n': n} for n in range(40)]")
    notebook.ok(f"%%parallel --chunk 7\n{loop}")
    assert notebook["out"] == list(range(1, 41))
    assert notebook.report.names("frozen") == "rows" and "read to the end" not in str(notebook.report)
    notebook.ok(f"%%parallel --chunk 7\n{loop}")
    assert notebook.report.objects == 0
    assert [one.n for one in bars] == [40] * len(bars)
    assert notebook["drawn"].getvalue().count("100%") >= len(bars)


def test_it_advances_with_the_chunks_and_firn_draws_none_of_its_own(notebook, bars, monkeypatch):
    screens = []

    class Noted(Progress):
        def __init__(self, screen, *rest, **more):
            screens.append(screen)
            super().__init__(screen, *rest, **more)

    monkeypatch.setattr(driver, "Progress", Noted)
    monkeypatch.setattr(driver.Run, "screen", "not asked")
    notebook.ok("at = []\none = bar(range(30))\nupdate = one.update\none.update = lambda n: (at.append(n), update(n))")
    notebook.ok("%%parallel --chunk 10\nout = [x for x in one]")
    assert notebook["at"] == [10, 10, 10] and screens == [None]


def test_the_bar_of_a_loop_that_fails_ends_where_it_is(notebook, bars):
    error = notebook.fails("%%parallel --chunk 5\nfor n in bar(range(20)):\n    1 / (n - 12)")
    assert type(error) is ZeroDivisionError
    [one] = bars
    assert one.n == 12 and one.disable  # as tqdm marks what is closed


@pytest.mark.parametrize("loop", ["for n in bar([]):\n    print(n)", "for n in bar(range(3)):\n    print(n)"])
def test_the_bar_of_a_loop_that_stays_in_the_notebook(notebook, bars, loop):
    notebook.ok(f"%%parallel --quiet\n{loop}")
    [one] = bars
    assert one.disable and one.n == one.total
    assert notebook.out == "".join(f"{n}\n" for n in range(one.total))


def test_a_bar_that_is_under_way_gives_what_is_left(notebook, bars):
    notebook.ok("begun = iter(bar(range(9)))\nfirst = next(begun)")
    notebook.ok("%%parallel --chunk 2\nout = [x for x in begun]")
    assert notebook["out"] == list(range(1, 9)) and next(notebook["begun"], None) is None


def test_a_bar_that_fails_is_in_nobodys_way(notebook, bars):
    notebook.ok("one = bar(range(9))\none.update = lambda n: 1 / 0\none.close = lambda: 1 / 0")
    notebook.ok("%%parallel --chunk 2\nout = [x for x in one]")
    assert notebook["out"] == list(range(9))
    del notebook["one"].close


def test_in_the_background(notebook, bars):
    notebook.ok("%%parallel --background job --chunk 3\nout = [x for x in bar(range(9))]")
    notebook.ok("job.result()")
    assert notebook["out"] == list(range(9)) and bars[0].n == 9 and bars[0].disable


@pytest.mark.parametrize(
    "loop",
    [
        "for r in it: out.append(r)\nfor r in it: out.append(r)",
        "held = [it]\ndel it\nfor r in held[0]: out.append(r)\nout.append(list(held[0]))",
        "held = [it]\ndel it\nfor i, r in enumerate(held[0]): out.append((i, r))\nout.append(list(held[0]))",
        "held = [enumerate(it)]\ndel it\nfor i, r in held[0]: out.append((i, r))\nout.append(list(held[0]))",
        "for a, r in zip('ab', it): out.append((a, r))",
        "for r, n in zip(it, bar(range(9))): out.append((r, n))",
        "try:\n    for i, r in enumerate(it): out.append(6 / (r - 2))\nexcept ZeroDivisionError: pass\nout.append(list(it))",
    ],
)
def test_a_bars_iterator_is_left_as_serially(notebook, bars, loop):
    setup = "out = []\nit = iter(bar([1, 2, 3, 4]))"
    notebook.ok(f"{setup}\n{loop}")
    expected = notebook["out"], [one.n for one in bars]
    bars.clear()
    notebook.ok(f"{setup}")
    notebook.ok(f"%%parallel --chunk 1 --workers 2\n{loop}")
    assert (notebook["out"], [one.n for one in bars]) == expected


def test_explain_looks_inside_and_a_bar_with_an_update_of_its_own_is_left_alone(notebook, bars):
    notebook.ok("rows = [1, 2, 3]\none = bar(rows)")
    notebook.ok("%%parallel --explain\nout = [r + 1 for r in one]")
    assert "would be split" in str(notebook.reports) and "would be refused" not in str(notebook.reports)
    notebook.ok(
        "class Own(type(one)):\n    def update(self, n=1):\n        steps.append(n)\n        return super().update(n)\n"
        "steps = []\nown = Own(rows, file=drawn, mininterval=0)"
    )
    notebook.ok("%%parallel --chunk 3\nout = [r + 1 for r in own]")
    assert notebook["out"] == [2, 3, 4] and notebook["steps"] == [1, 1, 1]


def test_a_bar_in_the_body_warns_of_nothing(notebook):
    notebook.ok("from tqdm import tqdm\n")
    notebook.ok("%%parallel --workers 2\nout = [sum(tqdm([n, 1], disable=True, miniters=1)) for n in range(4)]")
    assert notebook["out"] == [1, 2, 3, 4] and "Warning" not in notebook.err


def test_a_bar_that_the_body_uses_is_refused_with_what_to_do(notebook, bars):
    error = notebook.fails("%%parallel\none = bar(range(4))\nfor x in one:\n    one.set_postfix(last=x)")
    assert type(error).__name__ == "Unshippable" and error.line == 4
    assert "one is a bar of tqdm's" in str(error) and "Leave one out of the loop's body" in str(error)


def test_the_inner_one_of_two_bars_is_closed_first(notebook, bars):
    notebook.ok("%%parallel --chunk 2\nout = [x for x in bar(bar(range(6), desc='in'), desc='out')]")
    drawn = notebook["drawn"].getvalue()
    assert notebook["out"] == [*range(6)] and 0 < drawn.rindex("in: 100%") < drawn.rindex("out: 100%")
