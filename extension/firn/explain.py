"""`%%parallel --explain`: the cell with a verdict on each of its loops and a class for each variable; nothing runs.

The verdicts are those of the analysis that splits (`analysis.analyze`) and of the search for what the workers need
(`shipping.look`). As text for consoles, as HTML for notebooks.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from html import escape
from typing import Any

from firn import analysis, modules, shipping
from firn.analysis import refusals
from firn.analysis.plan import CellPlan, SplitLoop, Verdict
from firn.analysis.scopes import stored
from firn.names import ShippingRefusal
from firn.options import Options
from firn.readable import count, plural
from firn.teach import FROZEN_TYPES

WIDTH = 100
CLASSES = ("loop", "temporary", "broadcast", "reduction", "output")
STYLE = (
    """
.firn-x{--loop:#2f9fd0;--temporary:#8a8f98;--broadcast:#5b7fd6;--reduction:#d0822f;--output:#5c9e5a;--bad:#d05f5f;
font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--jp-ui-font-color1,inherit);max-width:900px;
border:1px solid rgba(128,128,128,.28);border-left:3px solid var(--loop);border-radius:6px;padding:10px 14px;margin:6px 0 4px}
.firn-x.bad{border-left-color:var(--bad)}
.firn-x .h{font-weight:650;margin-bottom:7px}.firn-x .h span{font-weight:400;opacity:.66}
.firn-x.firn-x.firn-x pre,.firn-x.firn-x.firn-x code{font:12.5px/1.5 var(--jp-code-font-family,ui-monospace,monospace);background:none;color:inherit;
margin:0;padding:0;border:0}
.firn-x.firn-x.firn-x pre{white-space:pre-wrap;overflow-wrap:anywhere;padding-left:3.4em;text-indent:-3.4em;overflow:visible}
.firn-x pre>i{display:inline-block;width:2.4em;margin-right:1em;text-align:right;text-indent:0;font-style:normal;opacity:.45}
.firn-x.firn-x.firn-x pre.bad{background:rgba(208,95,95,.13)}.firn-x pre.bad>i{opacity:1;color:var(--bad)}
.firn-x .v{margin:3px 0 9px 3.4em;padding:4px 11px 5px;border-left:2px solid var(--loop);background:rgba(128,128,128,.07);
border-radius:0 4px 4px 0}
.firn-x .v.refused{border-color:var(--bad)}.firn-x .v.serial{border-color:var(--temporary)}
.firn-x .g{display:grid;grid-template-columns:max-content 1fr;gap:0 12px;font-size:12.5px}
.firn-x .dim{opacity:.66}.firn-x b{font-weight:600}
""".replace("\n", "")
    + "".join(f".firn-x .{name}{{color:var(--{name})}}" for name in CLASSES)
)


@dataclass
class Entry:
    """What the explanation says below one loop. way: "split", "refused" or "serial"; variables: (class, name, detail)."""

    lines: tuple[int, int]
    way: str
    what: str
    classes: dict[str, str] = field(default_factory=dict)
    variables: list[tuple[str, str, str]] = field(default_factory=list)
    reason: str = ""
    remedy: str = ""
    guilty: int | None = None  # the line that the reason is about


@dataclass(repr=False)
class Explanation:
    """What `%%parallel` would do with a cell. `source` is the cell, its first line being the magic's."""

    source: str
    head: str
    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"%%parallel --explain: {self.head}. Nothing has run.", ""]
        guilty = {entry.guilty for entry in self.entries}
        for number, text in self._code():
            lines.append(f"{'-->' if number in guilty else '   '}{number:4} │ {text}".rstrip())
            for entry in self._below(number):
                lines += [f"        ╰ {line}" if first else f"          {line}" for first, line in _text(entry)]
        return "\n".join([*lines, *([""] if self.notes else []), *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        guilty = {entry.guilty for entry in self.entries}
        refused = any(entry.way == "refused" for entry in self.entries)
        parts = [f"<style>{STYLE}</style><div class='firn-x{' bad' if refused else ''}'>"]
        parts.append(f"<div class='h'>{escape(self.head)} <span>Nothing has run.</span></div>")
        names = self._names()
        for number, text in self._code():
            look = " class='bad'" if number in guilty else ""
            parts.append(f"<pre{look}><i>{number}</i>{_marked(text, names.get(number, []))}</pre>")
            parts += map(_html, self._below(number))
        parts += [f"<div class='dim'>{escape(note)}</div>" for note in self.notes]
        return "".join([*parts, "</div>"])

    def _code(self) -> list[tuple[int, str]]:
        return list(enumerate(self.source.splitlines(), 1))[1:]

    def _below(self, number: int) -> list[Entry]:
        return [entry for entry in self.entries if entry.lines[1] == number]

    def _names(self) -> dict[int, list[tuple[int, int, str]]]:
        """line -> (first and last byte, class) of each appearance of a split loop's variable in the loop."""
        found: dict[int, list[tuple[int, int, str]]] = {}
        nodes = [node for node in ast.walk(ast.parse(self.source)) if isinstance(node, ast.Name)]
        for node in nodes:
            inside = [entry for entry in self.entries if entry.lines[0] <= node.lineno <= entry.lines[1]]
            kind = next((entry.classes[node.id] for entry in inside if node.id in entry.classes), "")
            if kind and node.end_col_offset is not None:
                found.setdefault(node.lineno, []).append((node.col_offset, node.end_col_offset, kind))
        return found


def _text(entry: Entry) -> Iterator[tuple[bool, str]]:
    """(whether it is the first, line) of an entry."""
    yield True, " ".join(filter(None, (entry.way, f"({entry.what})" if entry.what else "")))
    for kind in CLASSES:
        own = [name + (f" ({detail})" if detail else "") for how, name, detail in entry.variables if how == kind]
        for number, line in enumerate(textwrap.wrap(", ".join(own), WIDTH - 24)):
            yield False, f"{kind if number == 0 else '':10} {line}"
    for line in textwrap.wrap(entry.reason, WIDTH - 12):
        yield False, line
    for line in textwrap.wrap(f"Instead: {entry.remedy}" if entry.remedy else "", WIDTH - 12):
        yield False, line


def _html(entry: Entry) -> str:
    rows = []
    for kind in CLASSES:
        own = [
            f"<code>{escape(name)}</code>" + (f" <span class='dim'>{escape(detail)}</span>" if detail else "")
            for how, name, detail in entry.variables
            if how == kind
        ]
        rows.append(f"<span class='{kind}'>{kind}</span><span>{', '.join(own)}</span>" if own else "")
    what = f" <span class='dim'>{escape(entry.what)}</span>" if entry.what else ""
    reason = f"<div>{escape(entry.reason)}</div>" if entry.reason else ""
    remedy = f"<div><b>Instead:</b> {escape(entry.remedy)}</div>" if entry.remedy else ""
    grid = f"<div class='g'>{''.join(rows)}</div>" if any(rows) else ""
    return f"<div class='v {entry.way}'><b>{entry.way}</b>{what}{grid}{reason}{remedy}</div>"


def _marked(text: str, names: list[tuple[int, int, str]]) -> str:
    raw, done, parts = text.encode(), 0, []
    for first, last, kind in sorted(names):
        if first < done:
            continue
        parts.append(escape(raw[done:first].decode()))
        parts.append(f"<span class='{kind}' title='{kind}'>{escape(raw[first:last].decode())}</span>")
        done = last
    return "".join(parts) + escape(raw[done:].decode())


def explain(tree: ast.Module, *, source: str, filename: str, namespace: dict[str, Any], wanted: Options) -> Explanation:
    """What would become of a cell; `tree` is the cell's without the magic's line, with the lines of `source`."""
    plan = analysis.analyze(
        tree,
        source=source,
        filename=filename,
        namespace=namespace,
        share=wanted.share,
        reassociate=wanted.reassociate,
        explaining=True,
    )
    entries = [_entry(verdict, plan, tree, namespace, wanted) for verdict in plan.verdicts]
    notes = [f"line {line}: {refusals.loops_inside(name)}." for line, name in plan.inner]
    if copied := sorted(plan.mutated_later):
        notes.append(f"The workers would get a copy of {', '.join(copied)}: the cell changes it after the loop.")
    return Explanation(source, _head(entries), entries, notes)


def _head(entries: list[Entry]) -> str:
    split, refused = (sum(entry.way == way for entry in entries) for way in ("split", "refused"))
    if refused:
        more = f", {plural(split, 'loop')} could be split" if split else ""
        return f"the cell would be refused: {plural(refused, 'loop')} cannot be split{more}"
    return (
        f"{plural(split, 'loop')} would be split"
        if split
        else "the cell would run serially: nothing in it can be split"
    )


def _entry(verdict: Verdict, plan: CellPlan, tree: ast.Module, namespace: dict[str, Any], wanted: Options) -> Entry:
    entry = Entry(verdict.lines, "split", verdict.what, verdict.classes)
    if verdict.note:
        entry.way, entry.what, entry.reason = "serial", "", verdict.note + "."
        return entry
    loop = verdict.loop
    earlier = stored(*(node for node in tree.body if node.lineno < verdict.lines[0]))
    through: list[str] = []
    found: analysis.Refusal | ShippingRefusal | None = verdict.refusal
    if loop is not None and found is None:
        try:
            own = loop.names - earlier
            over = _runs_over(tree, verdict.lines) & namespace.keys() - earlier
            through = shipping.look(
                own, namespace, code=loop.code, copy=wanted.copy, later=earlier | loop.bound, over=over
            )
            modules.check_reads(tree, loop.names, loop.lineno, namespace, loop.code.co_filename)
            modules.check_imports(modules.body_at(tree, loop.lineno), loop.code.co_filename)
        except (analysis.Refusal, ShippingRefusal) as error:
            found = error
    if found is not None:
        here = not isinstance(found, ShippingRefusal) or loop is None or found.filename == loop.code.co_filename
        entry.guilty = found.line if here else None
        where = f"line {entry.guilty}: " if entry.guilty else ""
        entry.way, entry.reason, entry.remedy = "refused", where + found.reason, found.remedy
    elif loop is not None and loop.shows:
        entry.reason = "It only shows something: a short one runs in the notebook."
    copied = wanted.copy | plan.mutated_later
    through = [name for name in through if name not in verdict.classes]
    entry.variables = [
        (kind, name, _detail(name, kind, loop, {} if name in earlier else namespace, copied))
        for name, kind in {**verdict.classes, **dict.fromkeys(through, "broadcast")}.items()
    ]
    return entry


def _runs_over(tree: ast.Module, lines: tuple[int, int]) -> set[str]:
    """The variables that loops in these lines run over as they are, or enumerated, zipped, or by their items."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.For(iter=todo) | ast.comprehension(iter=todo) if lines[0] <= todo.lineno <= lines[1]:
                match todo:
                    case ast.Call(func=ast.Name(id="enumerate" | "zip"), args=args):
                        parts = args
                    case ast.Call(func=ast.Attribute(value=owner, attr="items" | "values"), args=[]):
                        parts = [owner]
                    case _:
                        parts = [todo]
                found |= {part.id for part in parts if isinstance(part, ast.Name)}
    return found


def _detail(name: str, kind: str, loop: SplitLoop | None, namespace: dict[str, Any], copied: Set[str]) -> str:
    """How a reduction is merged; what a broadcast is, and whether it is frozen."""
    for form in loop.forms if loop is not None else ():
        if name in (form.name, *getattr(form, "names", ())):
            return form.shown
    if kind != "broadcast" or name not in namespace:
        return ""
    value = namespace[name]
    frozen = type(value) in FROZEN_TYPES
    text = value.__class__.__name__ if frozen else type(value).__name__
    if type(value) in (list, tuple, dict, set, frozenset) or (frozen and text in ("list", "dict", "set")):
        text += f" of {count(len(value))}"
    return text + (", copied" if name in copied else ", frozen already" if frozen else "")
