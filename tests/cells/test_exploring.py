"""What people do with frozen data at a prompt: displays, `?`, tab completion, %who, tracebacks, the tree of %frozen."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

import firn
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.lib.pretty import pretty

LONG = 3000
CYCLE: list[Any] = [1, {"again": None}]
CYCLE[1]["again"] = CYCLE
VALUES: dict[str, Any] = {
    "rows": [{"id": n, "text": f"row {n}", "tags": {"a", "b"}} for n in range(LONG)],
    "long_dict": {f"key {n}": [n] for n in range(LONG)},
    "long_set": set(range(LONG)),
    "short_set": {"b", "a", "c"},
    "empty_set": set(),
    "long_deque": deque(range(LONG)),
    "bounded_deque": deque(range(LONG), LONG + 1),
    "full_deque": deque([1, 2], 2),
    "counter": Counter({f"word {n}": n * 7919 % 101 for n in range(LONG)}),
    "short_counter": Counter("abracadabra"),
    "empty_counter": Counter(),
    "ordered": OrderedDict((n, str(n)) for n in range(LONG)),
    "empty_ordered": OrderedDict(),
    "default": defaultdict(list, {n: [n] for n in range(LONG)}),
    "nested": {"a": [deque([Counter("aab"), {1: {2: {3: [4]}}}])], "b": OrderedDict(x=defaultdict(int, y=1))},
    "cycle": CYCLE,
    "pair": ("one", ["two"]),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_frozen_value_is_displayed_as_the_original(notebook, name):
    show = notebook.shell.display_formatter.format
    value = VALUES[name]
    frozen = firn.freeze(value)
    assert show(frozen) == show(value)
    for length in (0, 1, 7, LONG - 1, LONG, LONG + 1):
        assert pretty(frozen, max_seq_length=length) == pretty(value, max_seq_length=length)
    assert pretty([frozen, 1]) == pretty([value, 1])


def test_a_users_own_printer_stays_in_charge(notebook):
    text = notebook.shell.display_formatter.formatters["text/plain"]
    theirs = text.for_type(deque, lambda value, printer, cycle: printer.text(f"{len(value)} items"))
    try:
        assert notebook.shell.display_formatter.format(firn.freeze(deque([1, 2])))[0]["text/plain"] == "2 items"
    finally:
        text.for_type(deque, theirs)


def inspected(notebook, name: str) -> str:
    text: str = notebook.shell.object_inspect_mime(name)["text/plain"]
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_question_mark_says_what_it_is_where_it_came_from_and_how_to_change_it(notebook):
    notebook.ok(f"rows = [{{'n': n}} for n in range({LONG})]\nother = [1000]")
    notebook.ok("%%parallel\nout = [row['n'] + other[0] for row in rows]")
    text = inspected(notebook, "rows")
    number = notebook.shell.execution_count - 1
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    assert fields["Type"].strip() == "list" and fields["Length"].strip() == str(LONG)
    objects = firn.last_report().objects
    assert f"from cell [{number}], with other:" in fields["Frozen"]
    assert f"{objects:,} objects" in fields["Frozen"] and "kB in memory" in fields["Frozen"]
    assert "rows = firn.thaw(rows) gives a copy that can be changed" in fields["Frozen"]
    assert fields["String form"].strip() == "[{'n': 0}, {'n': 1}, {'n': 2}, {'n': 3}, {'n': 4}, ...]"
    assert "Built-in mutable sequence." in text and "FrozenList" not in text
    notebook.ok("rows?")
    assert "Frozen:" in notebook.shown
    assert "Frozen:" not in inspected(notebook, "out")
    assert "Frozen:" in inspected(notebook, "rows[0]") and "dict" in inspected(notebook, "rows[0]")


@pytest.mark.parametrize("name", [name for name in VALUES if name not in ("cycle", "pair")])
def test_question_mark_has_the_docstring_of_the_original(notebook, name):
    notebook.shell.user_ns |= {"plain": VALUES[name], "frozen": firn.freeze(VALUES[name])}

    def fields(variable: str) -> list[str]:
        lines = inspected(notebook, variable).splitlines()
        return [line for line in lines if not line.startswith(("Frozen:", "String form:"))]

    assert [line.split() for line in fields("frozen")] == [line.split() for line in fields("plain")]


def completed(notebook, code: str) -> list[str]:
    with provisionalcompleter():
        completions = notebook.shell.Completer.completions(code, len(code))
        return [code[: found.start] + found.text + code[found.end :] for found in completions]


def test_keys_and_attributes_are_completed_behind_subscripts(notebook):
    notebook.shell.user_ns |= {
        "rows": firn.freeze(VALUES["rows"]),
        "counter": firn.freeze(VALUES["counter"]),
        "data": firn.freeze({"users": [{"name": "x", "mails": ["y"]}], 7: 8, ("a", "b"): 1}),
    }
    assert completed(notebook, 'rows[0]["') == ['rows[0]["id', 'rows[0]["tags', 'rows[0]["text']
    assert completed(notebook, "print(rows[-1]['te") == ["print(rows[-1]['text"]
    assert completed(notebook, 'data["users"][0]["na') == ['data["users"][0]["name']
    assert "rows[0].items" in completed(notebook, "rows[0].")
    assert completed(notebook, "x = rows[0].setd") == ["x = rows[0].setdefault"]
    assert completed(notebook, 'data["users"][0]["mails"][0].capit') == ['data["users"][0]["mails"][0].capitalize']
    assert completed(notebook, "counter.most") == ["counter.most_common"]
    assert completed(notebook, "rows.appen") == ["rows.append"]
    assert "rows.__class__" in completed(notebook, "rows.__cl")
    assert not any("__" in found for found in completed(notebook, "rows."))


def test_of_many_keys_those_are_offered_that_begin_with_what_is_typed(notebook):
    keys = {f"key {n}": n for n in range(5 * LONG)}
    notebook.shell.user_ns |= {
        "d": firn.freeze(keys),
        "mixed": firn.freeze({n: n for n in range(LONG)} | keys | {("t", n): n for n in range(LONG)}),
    }
    assert len(completed(notebook, 'd["')) == 500
    wanted = [key for key in keys if key.startswith("key 1499")]
    assert sorted(completed(notebook, 'd["key 1499')) == sorted(f'd["{key}' for key in wanted)
    assert sorted(completed(notebook, 'mixed["key 1499')) == sorted(f'mixed["{key}' for key in wanted)
    assert completed(notebook, 'd["none') == []
    assert "mixed[2999" in completed(notebook, "mixed[299")


def test_who_and_whos_know_frozen_values_by_what_they_were(notebook):
    notebook.shell.user_ns |= {name: firn.freeze(VALUES[name]) for name in ("rows", "long_set", "counter")}
    notebook.ok("%whos")
    lines = {line.split()[0]: line.split(None, 2)[1:] for line in notebook.out.splitlines()[2:]}
    assert lines["rows"] == ["list", f"n={LONG}"]
    assert lines["long_set"] == ["set", "{0, 1, 2, 3, 4, ...}"]
    assert lines["counter"][0] == "Counter"
    assert notebook.ok("%who_ls list") == ["rows"]


def test_a_verbose_traceback_shows_frozen_locals_as_short_as_plain_ones(notebook):
    kept = notebook.shell.InteractiveTB.mode
    shown = {}
    try:
        notebook.ok("%xmode Verbose")
        for variable in ("plain", "frozen"):
            values = {name: value for name, value in VALUES.items() if name != "cycle"}
            notebook.shell.user_ns["values"] = firn.freeze(values) if variable == "frozen" else values
            names = ", ".join(values)
            code = "\n".join(f"    {name} = values[{name!r}]" for name in values)
            notebook.fails(f"def f(values):\n{code}\n    return 1 / 0, {names}\nf(values)")
            shown[variable] = notebook.shown
    finally:
        notebook.ok(f"%xmode {kept}")
    assert "rows = " in shown["frozen"] and "long_dict = " in shown["frozen"]
    assert len(shown["frozen"]) < 1.2 * len(shown["plain"])


def test_frozen_with_a_name_shows_where_the_memory_goes(notebook):
    notebook.ok(f"rows = [{{'id': n + 1000, 'text': 't' * (n % 50 + 300), 'tags': [n * 1.5]}} for n in range({LONG})]")
    notebook.ok("%%parallel\nout = [len(row['text']) for row in rows]")
    notebook.ok("%frozen rows")
    (shown,) = notebook.reports
    head, _, *lines = shown["text/plain"].splitlines()
    assert head.startswith(f"rows: {firn.last_report().objects:,} objects, ")
    table = {line.split()[0]: line.split()[1:3] for line in lines}
    assert table["rows"] == ["list", "1"]
    assert table["rows[*]"] == ["dict", "3,000"]
    assert table["rows[*]['text']"] == ["str", "3,000"]
    assert table["rows[*]['tags'][*]"] == ["float", "3,000"]
    assert lines[2].split()[0] == "rows[*]['text']", "the biggest part comes first"
    assert "rows[*][&#x27;text&#x27;]" in shown["text/html"] and "<script" not in shown["text/html"]
    notebook.ok("%frozen rows[7]['tags']")
    assert notebook.reports[0]["text/plain"].startswith("rows[7]['tags']: 2 objects, ")


@pytest.mark.parametrize(
    "line, words", [("%frozen rosw", ["rosw", "did you mean rows?"]), ("%frozen rows", ["firn.freeze(rows)"])]
)
def test_frozen_with_a_name_that_is_none_or_not_frozen(notebook, line, words):
    notebook.ok("rows = [1]")
    error = notebook.fails(line)
    for word in words:
        assert word in str(error)


CLASSES = """
from collections import Counter, namedtuple
from dataclasses import dataclass, field

@dataclass
class Trip:
    'A ride of one bike.'
    name: str
    minutes: float
    tags: list = field(default_factory=list)
    @property
    def long(self):
        raise AssertionError('completion runs no property')
    def plus(self, minutes):
        return self.minutes + minutes

class Shown:
    def __repr__(self):
        return f'shown <{self.n}>'

class Printed:
    def _repr_pretty_(self, printer, cycle):
        printer.text('printed ' + str(self.n))
    def _repr_html_(self):
        return f'<b>{self.n}</b>'

class Items(list):
    pass

class Words(Counter):
    pass

Pair = namedtuple('Pair', 'left right')

def made(kind, **fields):
    value = kind()
    vars(value).update(fields)
    return value

values = {
    'trip': Trip('x' * 60, 5.5, ['a' * 30, 'b' * 30]), 'trips': [Trip(str(n), n + 0.5) for n in range(3000)],
    'shown': made(Shown, n=7), 'printed': made(Printed, n=8), 'items': Items(range(3000)),
    'words': Words({str(n): n * 7919 % 101 for n in range(3000)}), 'pair': Pair([1] * 40, 2),
}
"""


def test_instances_are_displayed_as_the_originals(notebook):
    notebook.ok(CLASSES)
    show = notebook.shell.display_formatter.format
    for name, value in notebook["values"].items():
        assert show(firn.freeze(value)) == show(value), name


def test_fields_and_methods_of_instances_are_completed(notebook):
    notebook.ok(CLASSES)
    notebook.shell.user_ns |= firn.freeze(notebook["values"])
    assert completed(notebook, "trip.") == [f"trip.{name}" for name in ("long", "minutes", "name", "plus", "tags")]
    assert completed(notebook, "print(trips[-1].mi") == ["print(trips[-1].minutes"]
    assert "trip.tags.index" in completed(notebook, "trip.tags.")
    assert {"pair.left", "pair.right", "pair.count"} <= set(completed(notebook, "pair."))


def test_question_mark_shows_the_class_of_an_instance(notebook):
    notebook.ok(CLASSES)
    notebook.shell.user_ns |= firn.freeze(notebook["values"])
    text = inspected(notebook, "trip")
    assert "Frozen:" in text and "A ride of one bike." in text and "FrozenFace" not in text
    assert ["Length:", "3000"] in [line.split() for line in inspected(notebook, "items").splitlines()]
    notebook.ok("%whos Trip Items Pair")
    assert [line.split()[:2] for line in notebook.out.splitlines()[2:]] == [
        ["items", "Items"], ["pair", "Pair"], ["trip", "Trip"],
    ]  # fmt: skip


def test_the_tree_of_instances_has_their_fields(notebook):
    notebook.ok(CLASSES)
    notebook.shell.user_ns |= firn.freeze(notebook["values"])
    notebook.ok("%frozen trips")
    table = {line.split()[0]: line.split()[1:3] for line in notebook.reports[0]["text/plain"].splitlines()[2:]}
    assert table["trips[*]"] == ["Trip", "3,000"] and table["trips[*].minutes"] == ["float", "3,000"]
    assert table["trips[*].tags"] == ["list", "3,000"]
