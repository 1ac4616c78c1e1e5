"""The code that runs in the workers: a module that defines __firn_chunk__(items, start) -> effects.

It carries the file name and the line numbers of the notebook's cell, so that tracebacks show the cell's own lines.
"""

import ast
import copy
import types
from collections.abc import Callable
from textwrap import indent

from .cellfacts import CellFacts
from .chunk import FIRM
from .classify import LoopClasses
from .containers import Appended, Counts, Distinct, First, Grouped, Keyed, Leader, Store
from .forms import Best, Extreme, Fold, Form
from .nested import Fields, Nested
from .places import harmless
from .reductions import Change
from .scopes import global_uses, located, walk
from .tallies import Tally
from .templates import expression, template
from .type_calls import asking
from .unseen import Unseen

CHUNK = "__firn_chunk__"


def _name(name: str, store: bool = False) -> ast.Name:
    return ast.Name(name, ast.Store() if store else ast.Load())


_FRESH_CALLS = frozenset(
    ["len", "int", "float", "str", "abs", "round", "sum", "ord", "hash", "bool", "repr", "bytes", "complex"]
)


def _recorded(
    value: ast.expr, tail: bool, is_builtin: Callable[[str], bool], keep: str = "__firn_snapshot__"
) -> ast.expr:
    """The expression of an operand, with a snapshot taken where it might change before the chunk ends."""
    match value:
        case ast.Constant() | ast.Compare() | ast.JoinedStr() | ast.UnaryOp() | ast.BinOp():
            return value
        case ast.List() | ast.ListComp() | ast.Dict() | ast.DictComp() | ast.Set() | ast.SetComp() | ast.Tuple():
            return value
        case ast.Call(func=ast.Name(id=name)) if name in _FRESH_CALLS and is_builtin(name):
            return value
    if tail:
        return value
    source = f"__firn_v if (__firn_v := VALUE).__class__ in __firn_plain__ else {keep}(__firn_v)"
    return expression(source, value, VALUE=value)


def _candidate(node: ast.stmt, form: Best, c: Change, acc: ast.expr, fence: str) -> list[ast.stmt]:
    """Looks whether this is the best of the chunk so far, which has the variable `fence` to compare with."""
    others = [c.parts.get(f"={name}") or _name("__firn_v") for name in form.names]
    compute, taken, entry = "", "OTHERS", "ENTRY"
    if form.computed:
        # The cell computes these for the best of all only.
        failed = f"(__firn_contest__.Failed(__firn_e),) * {len(others)}"
        compute = f"try:\n    __firn_p = NEW\nexcept Exception as __firn_e:\n    __firn_p = {failed}\n"
        taken, entry = "__firn_p", "(__firn_v, *__firn_p)"

    def step(statement: str, part: str, depth: int) -> str:
        return indent(compute.replace("NEW", part) + statement, "    " * depth)

    source = (
        f"if (__firn_v := VALUE).__class__ is {fence}.__class__:\n"
        f"    if __firn_v {form.sign} {fence}:\n"
        f"{step(f'ACC.last = {entry}', 'LAST', 2)}\n"
        f"        {fence} = __firn_v\n"
        "elif ACC.beaten_by(__firn_v):\n"
        f"{step(f'ACC.take(__firn_v, {taken})', 'OTHERS', 1)}\n"
        f"    {fence} = ACC.fence"
    )
    if form.unasked:
        first = step(f"ACC.open({taken.replace('OTHERS', 'FIRST')})", "FIRST", 1)
        source = f"if {fence} is None:\n{first}\n    {fence} = ACC\nel{source}"
    parts: dict[str, ast.expr] = {
        "OTHERS": ast.Tuple(others, ast.Load()),
        "FIRST": ast.Tuple(copy.deepcopy(others), ast.Load()),
        "LAST": ast.Tuple(copy.deepcopy(others), ast.Load()),
        "ENTRY": ast.Tuple([_name("__firn_v"), *copy.deepcopy(others)], ast.Load()),
    }
    return template(source, node, ACC=acc, VALUE=c.parts["value"], **parts)


_ABOVE = {
    "max": "__firn_o > ABOVE",
    "max<": "ABOVE < __firn_o",
    "min": "__firn_o < ABOVE",
    "min<": "ABOVE > __firn_o",
}


class _Recorder(ast.NodeTransformer):
    """Replaces the changes to reduction variables in a loop body by records in local accumulators."""

    def __init__(
        self, changes: list[Change], forms: dict[str, Form], locals_: dict[str, str], is_builtin: Callable[[str], bool]
    ) -> None:
        self._changes = {id(c.statement): c for c in changes}
        self._forms = forms
        self._locals = locals_
        self._is_builtin = is_builtin

    def visit(self, node: ast.AST) -> ast.AST | list[ast.stmt]:
        found = self._changes.get(id(node))
        if found is not None:
            assert isinstance(node, ast.stmt)
            return self._record(node, found)
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return node

    def _record(self, node: ast.stmt, c: Change) -> list[ast.stmt]:
        form = self._forms[c.name]
        local = self._locals[c.name]
        acc: ast.expr = _name(local)
        value = c.parts["value"]
        key = c.parts.get("key", value)
        for step in c.path:
            form, acc = _field(form, acc, step.key)
            assert isinstance(form, Nested)
            acc, inner = _keyed(form, acc, step.key, local)
            acc, form = expression("ACC[KEY]", node, ACC=acc, KEY=inner), form.inner
        form, acc = _field(form, acc, key)
        if isinstance(form, Keyed):
            acc, key = _keyed(form, acc, key, local)
        if c.covers:
            found = template("ACC[KEY]", node, ACC=acc, KEY=key)
            if c.alias:
                keys = ast.Tuple([part for name, part in c.parts.items() if name.startswith("=")], ast.Load())
                found = template("NAME = KEYS", node, NAME=_name(c.alias, store=True), KEYS=keys) + found
            return found
        match form:
            case Fold():
                if form.unit:
                    return template("ACC += VALUE", node, ACC=_name(local, store=True), VALUE=value)
                operand = _recorded(value, c.tail, self._is_builtin)
                if form.journal:
                    return template("ACC.append((OP, VALUE))", node, ACC=acc, OP=ast.Constant(c.op), VALUE=operand)
                return template("ACC.append(VALUE)", node, ACC=acc, VALUE=operand)
            case Extreme():
                operand = _recorded(value, c.tail, self._is_builtin, "__firn_settled__")
                return template("ACC.append(VALUE)", node, ACC=acc, VALUE=operand)
            case Best():
                return _candidate(node, form, c, acc, f"{local}_fence")
            case Appended():
                if c.kind is Fold or c.method == "extend":
                    return template("ACC.extend(VALUE)", node, ACC=acc, VALUE=value)
                return template("ACC.append(VALUE)", node, ACC=acc, VALUE=value)
            case Distinct():
                if c.method == "update" and form.guarded:
                    return template("__firn_tools__.update(ACC, VALUE)", node, ACC=acc, VALUE=value)
                if c.method == "update":
                    return template("ACC.extend(__firn_hashed__(VALUE))", node, ACC=acc, VALUE=value)
                return template("ACC.append(VALUE)", node, ACC=acc, VALUE=_hashed(value))
            case Unseen():
                new = expression("__firn_tools__.as_key(KEY)", key, KEY=key) if form.listed else _hashed(key)
                source = "if (__firn_k := KEY) not in ACC:\n    ACC[__firn_k] = VALUES"
                return template(source, node, ACC=acc, KEY=new, VALUES=value)
            case Counts():
                return template("ACC.update(VALUE)", node, ACC=acc, VALUE=value)
            case Store():
                if c.method == "update":
                    return template("ACC.update(VALUE)", node, ACC=acc, VALUE=value)
                return template("ACC[KEY] = VALUE", node, ACC=acc, KEY=key, VALUE=value)
            case Leader():
                score = _recorded(c.parts["score"], c.tail, self._is_builtin, "__firn_settled__")
                source = (
                    "if (__firn_k := KEY) in (__firn_r := ACC):\n"
                    "    __firn_r[__firn_k].append((SCORE, VALUE))\n"
                    "else:\n"
                    "    __firn_r[__firn_k] = [VALUE]"
                )
                return template(source, node, ACC=acc, KEY=key, SCORE=score, VALUE=value)
            case First():
                return template("ACC.setdefault(KEY, VALUE)", node, ACC=acc, KEY=key, VALUE=value)
            case Tally() if form.unit:
                return template("ACC[KEY] += VALUE", node, ACC=acc, KEY=key, VALUE=value)
            case Tally():
                operand = _recorded(value, c.tail and not form.begins, self._is_builtin, form.keeps)
                source = "ACC[KEY].append(VALUE)"
                if form.above:
                    source = (
                        "__firn_o, __firn_r, __firn_k = VALUE, ACC, KEY\n__firn_k in __firn_r\n"
                        f"if {_ABOVE[form.op]}:\n    __firn_r[__firn_k].append(__firn_o)"
                    )
                    above = ast.Constant(form.above[0])
                    return template(source, node, ACC=acc, KEY=key, VALUE=operand, ABOVE=above)
                if form.op.endswith(">"):
                    source = "__firn_o = VALUE\nACC[KEY].append(__firn_o)"
                elif c.guarded and not harmless(value) and form.leaves_no_key:
                    source = "__firn_r, __firn_k = ACC, KEY\n__firn_k in __firn_r\n__firn_o = VALUE\n__firn_r[__firn_k].append(__firn_o)"
                return template(source, node, ACC=acc, KEY=key, VALUE=operand)
            case Grouped():
                if c.method == "update" and form.guarded:
                    return template("__firn_tools__.update(ACC[KEY], VALUE)", node, ACC=acc, KEY=key, VALUE=value)
                if c.method == "update":
                    return template("ACC[KEY].extend(__firn_hashed__(VALUE))", node, ACC=acc, KEY=key, VALUE=value)
                if form.inner == "set":
                    value = _hashed(value)
                method = "extend" if c.method == "extend" else "append"
                return template(f"ACC[KEY].{method}(VALUE)", node, ACC=acc, KEY=key, VALUE=value)
        raise AssertionError(form)


def _field(form: Form, record: ast.expr, key: ast.expr) -> tuple[Form, ast.expr]:
    """The form and the record of the changes at a constant key."""
    while isinstance(form, Fields):
        assert isinstance(key, ast.Constant)
        number = form.keys.index(key.value)
        form, record = form.forms[number], expression(f"ACC[{number}]", record, ACC=record)
    return form, record


def _keyed(form: Keyed, record: ast.expr, key: ast.expr, local: str) -> tuple[ast.expr, ast.expr]:
    """A record and a key for it, which is evaluated after it. local: the name of the variable's outermost record."""
    if not form.may_be_list or (isinstance(key, ast.Constant) and type(key.value) in FIRM):
        return record, key
    again = "__firn_r"
    if isinstance(record, ast.Name):
        again = record.id
    else:
        record = expression(f"({again} := RECORD)", record, RECORD=record)
    source = f"__firn_k if (__firn_k := KEY).__class__ in __firn_firm__ else {local}_odd(__firn_k, {again})"
    return record, expression(source, key, KEY=key)


def _hashed(value: ast.expr) -> ast.expr:
    """The value, after a set has taken it: what cannot be hashed fails here, as it does in the serial cell."""
    return expression("(__firn_taken__(__firn_v := VALUE), __firn_v)[1]", value, VALUE=value)


class _Deletions(ast.NodeTransformer):
    """Leaves a mark where a `del` or the end of an `except ... as` unbinds a variable; drops bare annotations."""

    def visit_Delete(self, node: ast.Delete) -> ast.AST | list[ast.AST]:
        parts = [part for target in node.targets for part in walk(target)]
        names = [part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Del)]
        return [node, *self._marks(names, node)]

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        self.generic_visit(node)
        if node.name is not None:
            node.body = [*self._marks([node.name], node.body[0]), *node.body]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def _marks(self, names: list[str], where: ast.AST) -> list[ast.stmt]:
        return [part for name in names for part in template(f"__firn_gone_{name} = True", where)]


def loop_code(
    loop: ast.For,
    classes: LoopClasses,
    facts: CellFacts,
    unmerged: frozenset[str] = frozenset(),
) -> tuple[types.CodeType, tuple[str, ...]]:
    """The chunk's code of a `for` loop and the order of its reductions in the effects. Uses up the loop's tree. The changes
    of the variables in `unmerged` stay as they are."""
    order = tuple(classes.reductions)
    locals_ = {name: f"__firn_{number}" for number, name in enumerate(order)}
    merged = [c for c in classes.changes if c.name not in unmerged]
    recorder = _Recorder(merged, classes.reductions, locals_, facts.is_builtin)
    changed: list[ast.stmt] = []
    for statement in loop.body:
        result = recorder.visit(statement)
        changed.extend(result if isinstance(result, list) else [result])  # type: ignore[list-item]
    body: list[ast.stmt] = []
    for statement in changed:
        marked = _Deletions().visit(statement)
        body.extend(marked if isinstance(marked, list) else [marked])
    new_loop = ast.copy_location(ast.For(loop.target, _name("__firn_items__"), body, []), loop)
    own = sorted({name for c in classes.changes if c.name in unmerged for name in c.assigns or (c.name,)})
    start: list[ast.stmt] = [ast.copy_location(ast.Global(own), loop)] if own else []
    start += template("__firn_taken__ = __firn_tools__.taken()", loop) + [
        part for name in order for part in template(f"{locals_[name]} = {classes.reductions[name].accumulator}", loop)
    ]
    for name in order:
        if isinstance(form := classes.reductions[name], Best):
            fence = "None" if form.unasked else f"{locals_[name]}.fence"
            start += template(f"{locals_[name]}_fence = {fence}", loop)
    for name in order:
        form = classes.reductions[name]
        if isinstance(form, Keyed):
            is_list = form.target is list and not isinstance(form, Nested | Fields)
            start += template(f"{locals_[name]}_odd = __firn_tools__.odd_keys({is_list})", loop)
    accumulators = tuple(
        (locals_[name], classes.reductions[name].packer, classes.reductions[name].argument) for name in order
    )
    bound = tuple(sorted(classes.loop | classes.temporary))
    aliases = {c.alias: c.name for c in merged if c.alias}
    prelude = f"__firn_effects__ = __firn_tools__.ending({accumulators!r}, {bound!r}, {aliases!r})\n"
    end = template("return __firn_effects__(__firn_locals__())", loop)
    return _module(prelude, [*start, new_loop, *end], loop, facts), order


def comprehension_code(
    result: list[ast.stmt], where: ast.AST, facts: CellFacts, bound: tuple[str, ...]
) -> types.CodeType:
    """The chunk's code of a comprehension; the statements `result` read __firn_items__ and bind __firn_result, the
    packed effects."""
    accumulators = (("__firn_result", "same", ""),)
    prelude = f"__firn_effects__ = __firn_tools__.ending({accumulators!r}, {bound!r}, {{}})\n"
    end = template("return __firn_effects__(__firn_locals__())", where)
    return _module(prelude, [*result, *end], where, facts)


def _module(prelude: str, body: list[ast.stmt], where: ast.AST, facts: CellFacts) -> types.CodeType:
    head = template(prelude, where)
    parameters = [ast.arg("__firn_items__"), ast.arg("__firn_start__")]
    arguments = ast.arguments(posonlyargs=[], args=parameters, kwonlyargs=[], kw_defaults=[], defaults=[])
    function = ast.FunctionDef(CHUNK, arguments, body, decorator_list=[], type_params=[])
    for generated in [*parameters, function]:
        ast.copy_location(generated, where)
    module = located(ast.Module([*head, function], []))
    if facts.is_builtin("type"):
        module = asking(module, maps=facts.is_builtin("map"))
    code = compile(module, facts.filename, "exec", dont_inherit=True)
    return _named(code)


def _named(code: types.CodeType) -> types.CodeType:
    """The code with the names that it has in the serial cell."""
    constants = tuple(_named(part) if isinstance(part, types.CodeType) else part for part in code.co_consts)
    if code.co_name == CHUNK:
        return code.replace(co_name="<module>", co_qualname="<module>", co_consts=constants)
    return code.replace(co_qualname=code.co_qualname.removeprefix(f"{CHUNK}.<locals>."), co_consts=constants)


def names_read(code: types.CodeType) -> frozenset[str]:
    """The notebook's globals (and builtins) that a chunk's code reads."""
    chunk = next(constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return frozenset(name for name in global_uses(chunk)[0] if not name.startswith("__firn_"))
