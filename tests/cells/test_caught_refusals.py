"""A write to what the workers share is refused there; where the loop's code catches that, the loop fails: the serial cell
would have made the change."""

import pytest

ROWS = "import contextlib\nrows = [{'id': n, 'price': n * 1.5} for n in range(40)]\n"
CELLS = {
    "def norm(row):\n    try:\n        row['price'] = round(row['price'])\n        return row['price']\n"
    "    except Exception:\n        return None": "norm(row)",
    "def keep(row):\n    with contextlib.suppress(TypeError):\n        row.setdefault('k', 1)\n    return len(row)": "keep(row)",
    "class Shop:\n    n = 0\n    def hit(self):\n        try:\n            self.n += 1\n        except TypeError:\n            return -1\n"
    "        return 1\nshops = [Shop() for row in rows]": "shops[row['id']].hit()",
    "def visit(n, seen=set()):\n    try:\n        seen.add(n)\n    except Exception as error:\n"
    "        return type(error).__name__\n    return n": "visit(row['id'])",
    "def last(row):\n    try:\n        row['x'] = 1\n    finally:\n        return len(row)": "last(row)",
}


@pytest.mark.parametrize("definition", CELLS)
@pytest.mark.parametrize("head", ["", " --chunk 1", " --workers 1"])
@pytest.mark.filterwarnings("ignore:'return' in a 'finally' block:SyntaxWarning")
def test_the_loop_fails_and_names_the_line(notebook, definition, head):
    notebook.ok(ROWS + definition)
    error = notebook.fails(f"%%parallel{head}\nfound = [{CELLS[definition]} for row in rows]")
    assert type(error).__name__ in ("LostEffect", "Refused"), error
    assert "found" not in notebook
    notebook.ok("%%parallel\nfound = [row['id'] for row in rows]")  # what was refused is forgotten
    assert notebook["found"] == [*range(40)]


def test_the_message(notebook):
    notebook.ok(ROWS + next(iter(CELLS)))
    error = notebook.fails("%%parallel\nfound = [norm(row) for row in rows]")
    assert "line 5 of norm() changes what the workers share" in str(error)
    assert "row = dict(row)" in str(error)


def test_a_change_that_another_way_follows_is_none(notebook):
    """Of an error that would come serially, too, the code may take notice."""
    notebook.ok(ROWS + "def same(row):\n    try:\n        row[[]]\n    except TypeError:\n        return row['id']")
    notebook.ok("%%parallel\nfound = [same(row) for row in rows]")
    assert notebook["found"] == [*range(40)]


def test_in_the_notebook_nothing_changes(notebook):
    notebook.ok(ROWS + next(iter(CELLS)))
    notebook.ok("%%parallel\nfound = [row['id'] for row in rows]")
    notebook.ok("assert norm(rows[0]) is None")
    notebook.ok("%%parallel --each --gather got\ngot = norm(rows[0])")  # there the user sees that it is frozen
    assert notebook["got"] == [None, None]
