"""display() in workers: a display_data message where the serial cell has one, in order with the prints."""

from __future__ import annotations

from typing import Any

import firn
import pytest

SETUP = """
from IPython.display import HTML, Image, Markdown, clear_output, display as show, publish_display_data, update_display
class Rich:
    def __init__(self, n):
        self.n = n
    def _repr_html_(self):
        return f"<b>{self.n}</b>"
    def __repr__(self):
        return f"Rich({self.n})"
"""


@pytest.fixture
def shown(notebook, monkeypatch) -> list[tuple[Any, ...]]:
    """(data, metadata, the printed text before it) of each message but the reports."""
    import sys

    messages: list[tuple[Any, ...]] = []

    def publish(data, metadata=None, **options):
        if "<div class='firn" not in data.get("text/html", ""):
            messages.append((data, metadata, sys.stdout.getvalue().split("\n")[-2:-1], options))
            print("<shown>")

    monkeypatch.setattr(notebook.shell.display_pub, "publish", publish)
    notebook.ok(SETUP)
    return messages


def both(notebook, shown: list[tuple[Any, ...]], code: str) -> list[tuple[Any, ...]]:
    """What a cell shows, which has to be the same serially and split."""
    shown.clear()
    notebook.ok(code)
    serial, printed = list(shown), notebook.out
    shown.clear()
    notebook.ok(f"%%parallel --chunk 1\n{code}")
    assert notebook.report.way == "split"
    assert shown == serial and notebook.out == printed
    return shown


def test_objects_of_ipython(notebook, shown):
    messages = both(
        notebook, shown, "for i in range(4):\n    print('a', i)\n    display(HTML(f'<i>{i}</i>'))\n    print('b', i)"
    )
    assert [data["text/html"] for data, *_ in messages] == [f"<i>{i}</i>" for i in range(4)]
    assert notebook.out.split("\n")[:3] == ["a 0", "<shown>", "b 0"]


def test_an_image(notebook, shown):
    png = "bytes.fromhex('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489')"
    [first, _] = both(notebook, shown, f"for i in range(2):\n    show(Image(data={png}, format='png'))")
    assert "image/png" in first[0]


def test_objects_of_the_notebooks_classes_and_plain_ones(notebook, shown):
    code = "for i in range(3):\n    display(Rich(i), metadata={'k': i})\n    display([i] * 40, {'a': i})\n    show(Markdown('*x*'))"
    messages = both(notebook, shown, code)
    assert messages[0][:2] == ({"text/plain": "Rich(0)", "text/html": "<b>0</b>"}, {"k": 0})
    assert len(messages) == 12


def test_frozen_values(notebook, shown):
    notebook.ok("rows = [Rich(i) for i in range(3)]\ntable = {'k': [1, 2]}")
    both(notebook, shown, "for row in rows:\n    display(row)\n    display(table)")
    assert firn.is_frozen(notebook["rows"])
    both(notebook, shown, "for row in rows:\n    display(row)\n    display(table)")


def test_what_it_shows_is_what_it_was_then(notebook, shown):
    [(data, *_), (later, *_)] = both(
        notebook, shown, "for i in range(1):\n    x = [i]\n    display(x)\n    x.append(2)\n    display(x)"
    )
    assert (data["text/plain"], later["text/plain"]) == ("[0]", "[0, 2]")


def test_what_does_not_pickle_is_formatted_by_the_worker(notebook, shown):
    notebook.ok("class Held(Rich):\n    def __init__(self, n):\n        self.n, self.lines = n, (x for x in [n])")
    messages = both(notebook, shown, "for i in range(2):\n    display(Held(i))")
    assert messages[1][0] == {"text/plain": "Rich(1)", "text/html": "<b>1</b>"}


def test_raw_data_and_handles(notebook, shown):
    both(notebook, shown, "for i in range(2):\n    publish_display_data({'text/plain': str(i)}, {'m': i})")
    notebook.ok("%%parallel\nfor i in range(2):\n    handle = show(i, display_id=True)\n    handle.update('new')")
    ids = [options["transient"]["display_id"] for *_, options in shown[2:]]
    assert len(ids) == 4 and ids[0] == ids[1] != ids[2] == ids[3]
    assert [options.get("update", False) for *_, options in shown[2:]] == [False, True] * 2


def test_imports_in_the_loop_and_in_functions(notebook, shown):
    notebook.ok("def f(i):\n    from IPython.display import display\n    display(Rich(i))")
    both(notebook, shown, "for i in range(2):\n    f(i)\n    from IPython import display as d\n    d.display(i)")


def test_a_method_that_fails_ends_nothing(notebook, shown):
    notebook.ok(
        "import threading\ndef fail(): raise KeyError(3)\n"
        "class Bad(Rich):\n    def _repr_html_(self):\n        raise ValueError('no')\n"
        "class Lost(Rich):\n    def __init__(self, n):\n        self.n, self.lock = n, threading.Lock()\n"
        "    def __reduce__(self):\n        return fail, ()"
    )
    notebook.ok("%%parallel\nfor i in range(2):\n    display(Bad(i))\n    print('after', i)")
    assert "after 0" in notebook.out and "after 1" in notebook.out and "ValueError: no" in notebook.out
    notebook.ok("%%parallel\nfor i in range(2):\n    display(Lost(i))\n    print('after', i)")
    assert "after 0" in notebook.out and "after 1" in notebook.out
    assert "display()" in notebook.err and "KeyError" in notebook.err


def test_each_labels_what_it_shows(notebook, shown):
    notebook.ok("%%parallel --group\nprint('x', end='')\ndisplay(Rich(parallel.rank))\nRich('last')")
    assert notebook.out.split("\n")[:6] == ["[0] x", "[0]", "<shown>", "[0]", "<shown>", "[1] x"]
    assert [data["text/html"] for data, *_ in shown] == ["<b>0</b>", "<b>last</b>", "<b>1</b>", "<b>last</b>"]


def test_clear_output_in_a_group_is_the_workers_own(notebook, shown):
    notebook.ok("%%parallel --group\nprint('before')\nclear_output()\nprint('after', parallel.rank)")
    assert notebook.out == "[0] after 0\n[1] after 1\n"
