"""What a cell says that writes to a frozen array: numpy's message, and the way out as a note."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def arrays(notebook: Any) -> Any:
    notebook.ok(
        "import numpy as np, firn\nx = np.arange(10.0)\nmodel = {'weights': [np.arange(5)], 'days': np.zeros(3, 'M8[s]')}"
    )
    notebook.ok("class Layer: pass\nlayer = Layer()\nlayer.bias = np.ones(3)\nview = memoryview(bytearray(8))")
    notebook.ok("%%parallel\nsums = [x[i] + model['weights'][0][0] + layer.bias[0] + view[0] for i in range(10)]")
    return notebook


@pytest.mark.parametrize(
    ("change", "copied", "variable"),
    [
        ("x[0] = 1", "x.copy()", "x"),
        ("x += 1", "x.copy()", "x"),
        ("x.sort()", "x.copy()", "x"),
        ("x[2:].fill(0)", "x.copy()", "x"),
        ("np.add(x, 1, out=x)", "x.copy()", "x"),
        ("np.random.shuffle(x)", "x.copy()", "x"),
        ("x.flags.writeable = True", "x.copy()", "x"),
        ("y = x[2:5]\ny[:] = 3", "y.copy()", "y"),
        ("memoryview(x)[0] = 1.0", "x.copy()", "x"),
        ("model['weights'][0][1:] = 3", "model['weights'][0].copy()", "model"),
        ("model['days'][0] = 0", "model['days'].copy()", "model"),
        ("view[0] = 1", "bytearray(view)", "view"),
    ],
)
def test_the_note_names_the_variable_and_the_way_out(arrays: Any, change: str, copied: str, variable: str) -> None:
    error = arrays.fails(change)
    (note,) = error.__notes__
    assert note == (
        f"'{variable}' is frozen. {variable} = firn.thaw({variable}) gives a copy that can be changed. "
        f"{copied} copies this memory alone."
    )
    assert note in arrays.shown


def test_in_a_function_and_alone(notebook: Any) -> None:
    notebook.ok("import numpy as np\ndef set_first(a):\n    a[0] = 1\nx = np.arange(10.0)")
    notebook.ok("%%parallel\ntotal = sum(x[i] for i in range(10))")
    (note,) = notebook.fails("set_first(x)").__notes__
    assert note == (
        "'x' is frozen: the %%parallel cell [2] shares it with the workers. x = firn.thaw(x) gives a copy that can be "
        "changed; %%parallel --copy x leaves the notebook's own untouched. a.copy() copies this memory alone."
    ).replace("[2]", f"[{notebook.shell.execution_count - 2}]")


def test_the_ways_out_are_ways_out(arrays: Any) -> None:
    arrays.ok("x = firn.thaw(x)\nx[0] = 5\nmine = model['weights'][0].copy()\nmine += 1")
    assert arrays["x"][0] == 5


def test_other_errors_have_no_note(arrays: Any) -> None:
    arrays.ok("own = np.arange(3)\nown.flags.writeable = False")
    for cell in ("own[0] = 1", "raise ValueError('read-only')", "x[100]", "int('read-only')", "b'abc'[0] = 1",
                 "property(lambda s: 1).fget = 3"):  # fmt: skip
        assert not hasattr(arrays.fails(cell), "__notes__"), cell


def test_a_note_that_is_there_stays_the_only_one(arrays: Any) -> None:
    error = arrays.fails("try:\n    x[0] = 1\nexcept ValueError as error:\n    error.add_note('mine')\n    raise")
    assert error.__notes__ == ["mine"]


WANTED = {
    "heapq.heappush(h, 5)": "'h' is frozen, and this code wants a plain list: firn.thaw(h) gives one.",
    "heapq.heapify(d['a'])": "'d['a']' is frozen, and this code wants a plain list: firn.thaw(d['a']) gives one.",
    "type('X', (), d)": "'d' is frozen, and this code wants a plain dict: firn.thaw(d) gives one.",
    "method(s, s)": "'s' is frozen, and this code wants a plain set: firn.thaw(s) gives one.",
    "h < 3": "",
    "1 + s": "",
    "'%d' % h": "",
}


@pytest.mark.parametrize("code", WANTED)
def test_what_wants_a_plain_list_says_how_to_get_one(notebook, code):
    notebook.ok("import heapq\nh, s, method = [[3], [1]], {1, 2}, set.union\nd = {'a': h}")
    notebook.ok("%%parallel --quiet\nout = [(len(x), len(d), len(s)) for x in h]")
    error = notebook.fails(code)
    assert getattr(error, "__notes__", [])[:1] == ([WANTED[code]] if WANTED[code] else [])


def test_views_of_what_is_frozen_are_read_only_too(notebook):
    notebook.ok(
        "import numpy as np\nimg = np.arange(100.0).reshape(10, 10)\nborder, flat, other = img[:2], img.ravel(), img.copy()\n"
        "raw, kept, part = memoryview(img), {'img': img}, np.arange(9)[2:]\nwhole = part.base"
    )
    notebook.ok("%%parallel --chunk 1\nout = [img[i, 0] + part[i] for i in range(5)]")
    assert "border, flat, raw, whole: views of memory that is frozen" in str(notebook.report)
    assert "border = border.copy()" in str(notebook.report)
    for write in ("border[:] = 1", "flat[3] = 2", "raw[0, 0] = 3.0", "kept['img'][0] = 1", "whole[0] = 1"):
        error = notebook.fails(write)
        assert isinstance(error, (ValueError, TypeError))
        if not write.startswith("raw"):
            name = write.partition("[")[0] + ("['img']" if "kept" in write else "")
            assert f"'{name}' is the original" in str(error.__notes__) and f"{name}.copy()" in str(error.__notes__)
    notebook.ok("border = border.copy()\nborder[:] = 1\nother[0] = 5")
    assert notebook.ok("img.sum() == flat.sum() == 4950.0 and raw[0, 1] == 1.0 and border.sum() == 20")
    notebook.ok("%%parallel --chunk 1\nout = [img[i, 0] + flat[i] for i in range(5)]")
    assert notebook["out"] == [0.0, 11.0, 22.0, 33.0, 44.0]


def test_copied_arrays_and_their_views_stay_as_they_are(notebook):
    notebook.ok("import numpy as np\nimg = np.zeros((10, 10))\nborder = img[:2]")
    notebook.ok("%%parallel --copy img --chunk 1\nout = [img[i, 0] for i in range(5)]")
    notebook.ok("border[:] = 1")
    assert notebook.ok("img.sum()") == 20


def test_other_parts_of_the_memory_stay_as_they_are(notebook):
    notebook.ok("import numpy as np\nm = np.zeros((10, 10))\nfirst, second = m[0], m[1]")
    notebook.ok("%%parallel --chunk 1\nout = [first[i] for i in range(5)]")
    notebook.ok("second[0] = 3")
    assert isinstance(notebook.fails("m[0] = 1"), ValueError)
