"""%autoreload: the workers have the new code of a module whose file was edited, wherever the notebook has it."""

from __future__ import annotations

import os
import sys

import pytest

BASE = """
class Base:
    def name(self): return "base"
class Point(Base):
    def __init__(self, x): self.x = x
    def name(self): return super().name() + "{0}"
    def shown(self): return f"{0}{{self.x}}"
    {1}
def decorated(function):
    def inner(x): return function(x)
    return inner
@decorated
def wrapped(x): return ("{0}", x)
def f(x): return "{0}"
"""


@pytest.fixture
def edited(notebook, tmp_path, monkeypatch):
    """Writes a module's file as one does in an editor, each time a second later."""
    monkeypatch.syspath_prepend(str(tmp_path))
    seconds = iter(range(1_700_000_000, 1_800_000_000))

    def write(name: str, text: str) -> None:
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        now = next(seconds)
        os.utime(path, (now, now))

    yield write
    notebook.ok("%autoreload off")
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.mark.parametrize("mode", ["1", "2", "2 --full", "3"])
def test_an_edited_module_is_edited_in_the_workers(notebook, edited, mode):
    name = "edited_" + "".join(letter for letter in mode if letter.isalnum())
    edited(name, BASE.format("old", ""))
    edited(f"{name}_user", f"from {name} import f\ndef g(x): return f(x)\n")
    notebook.ok(f"%load_ext autoreload\n%autoreload {mode}")
    notebook.ok(f"%aimport {name}, {name}_user")
    notebook.ok(
        f"import {name} as module, {name}_user as user\npoints = [module.Point(i) for i in range(8)]\nimport time"
    )
    seen = (
        "[(time.sleep(.005), module.f(0), user.g(0), p.shown(), p.name(), module.Point(0).name(), module.wrapped(1))[1:]"
        " for p in points]"
    )
    for word in ("old", "new", "newer"):
        edited(name, BASE.format(word, ""))
        expected = notebook.ok(f"before = {seen}\nbefore")
        assert expected[0][0] == expected[0][1] == word and expected[1][2] == f"{word}1"
        assert notebook.ok(f"%%parallel --chunk 1\nfound = {seen}\nfound") == expected
    assert notebook.report.way == "split"


def test_what_was_taken_away_and_what_came_is_so_in_the_workers(notebook, edited):
    edited("edited_more", BASE.format("old", "") + "def gone(): return 1\n")
    notebook.ok("%load_ext autoreload\n%autoreload 2")
    notebook.ok("import edited_more as module, time\npoints = [module.Point(i) for i in range(8)]")
    notebook.ok("%%parallel --chunk 1\nfound = [(time.sleep(.005), p.shown(), module.gone()) for p in points]")
    edited("edited_more", BASE.format("new", "def added(self): return self.x + 1"))
    cell = "found = [(time.sleep(.005), p.added(), hasattr(module, 'gone'))[1:] for p in points]\nfound"
    assert notebook.ok(cell) == notebook.ok(f"%%parallel --chunk 1\n{cell}") == [(i + 1, False) for i in range(8)]


def test_an_edit_that_does_not_load_changes_nothing(notebook, edited):
    edited("edited_badly", "def f(x): return 'old'\n")
    notebook.ok("%load_ext autoreload\n%autoreload 2")
    notebook.ok("import edited_badly, time")
    cell = "%%parallel --chunk 1\nfound = [(time.sleep(.005), edited_badly.f(x))[1] for x in range(8)]\nfound"
    assert notebook.ok(cell) == ["old"] * 8
    edited("edited_badly", "def f(x): return 'new'\n1 / 0\n")
    assert notebook.ok(cell) == ["old"] * 8
    edited("edited_badly", "def f(x): return 'new'\n")
    assert notebook.ok(cell) == ["new"] * 8
