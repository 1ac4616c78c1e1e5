"""Every message of the analysis: what stands on which line, why it cannot run in parallel, what to write instead."""

import ast
import itertools

from firn.readable import a

SEQUENCE = "the sequence of the loop"


class Refusal(Exception):
    """A cell, or a loop of it, that cannot be run in parallel with the result of the serial cell.

    line: line of the cell, from 1. name: the variable it is about ("" if none). reason, remedy: one sentence each.
    """

    def __init__(self, line: int, name: str, reason: str, remedy: str) -> None:
        super().__init__(line, name, reason, remedy)
        self.line = line
        self.name = name
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason} {self.remedy}"


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 1))


def carried(node: ast.AST, name: str, written: int) -> Refusal:
    where = "on the same line" if written == _line(node) else f"on line {written}"
    return Refusal(
        _line(node),
        name,
        f"an iteration reads '{name}', which an earlier iteration may have written ({where}): iterations that depend"
        " on each other cannot run at the same time.",
        f"Assign '{name}' on every path before it is read, or compute it from the loop variable (neighbours: zip(xs, xs[1:]);"
        f" the largest: {name} = max({name}, x); a flag: all(...) or any(...)); %%parallel --serial runs the cell as it is.",
    )


def reads_reduction(node: ast.AST, name: str, written: int, otherwise: str) -> Refusal:
    """otherwise: what to write for what people want with such a change, {name} being the variable."""
    return Refusal(
        _line(node),
        name,
        f"the loop changes '{name}' (line {written}) and reads it here: an iteration would see what earlier ones did.",
        f"Read '{name}' after the loop only; {otherwise.format(name=name)}.",
    )


def mixed_changes(node: ast.AST, name: str, first: str, second: str) -> Refusal:
    return Refusal(
        _line(node),
        name,
        f"the loop changes '{name}' in two ways ({first} and {second if second != first else 'a different one'}) whose"
        " order among the iterations matters.",
        "Use one variable for each, and put them together after the loop, or one form for both (d[k] = d.get(k, 0) + v).",
    )


def leaves_loop(node: ast.AST, word: str) -> Refusal:
    return Refusal(
        _line(node),
        "",
        f"'{word}' ends the loop early, and iterations after it may already have run.",
        "Use any(...) or all(...) over a comprehension, or collect what fits and take the first: [x for x in xs if ...][:1].",
    )


def for_else(node: ast.AST) -> Refusal:
    return Refusal(
        _line(node),
        "",
        "'for ... else' has no meaning in a loop whose iterations run at the same time.",
        "Put the statements of the else branch after the loop.",
    )


def not_in_body(node: ast.AST, what: str, remedy: str) -> Refusal:
    return Refusal(_line(node), "", f"{what} cannot run in a worker.", remedy)


def definition(node: ast.AST, name: str) -> Refusal:
    return Refusal(
        _line(node),
        name,
        f"'{name}' is defined inside the loop, and outlives it.",
        "Define it before the loop and pass what it needs as arguments.",
    )


def capturing_lambda(node: ast.AST, name: str) -> Refusal:
    return Refusal(
        _line(node),
        name,
        f"a function made here uses the loop's '{name}' and may outlive the iteration: it would see another value"
        " than in the serial cell.",
        f"Pass '{name}' as an argument, or use the function at once (as the key of sorted, min or max).",
    )


def mutates_item(node: ast.AST, name: str) -> Refusal:
    return Refusal(
        _line(node),
        name,
        f"the loop changes what '{name}' holds, an item that all workers share.",
        f"Change a copy ({name} = dict({name}), {name}[:], copy.copy({name})) and collect it in a list.",
    )


def changes_by_name(node: ast.AST, name: str, holder: str, bound: str) -> Refusal:
    item = bound.partition("= ")[2]
    return Refusal(
        _line(node),
        name,
        f"the loop changes '{name}', an item of '{holder}', which all workers share, and uses it otherwise, too.",
        f"Only change it between '{bound}' and the end of the iteration, or write {item} where it is changed; read it after"
        " the loop.",
    )


def mutates_broadcast(node: ast.AST, name: str, how: str) -> Refusal:
    if how == "next()":
        return takes_in_turn(node, name)
    return Refusal(
        _line(node),
        name,
        f"the loop changes '{name}' ({how}), which all workers share: the change could not be given back.",
        f"Collect the changes in a list or dict and apply them to '{name}' after the loop.",
    )


def function_reads(node: ast.AST, function: str, name: str, verb: str = "reads") -> Refusal:
    return Refusal(
        _line(node),
        name,
        f"{function}() {verb} the global '{name}', which the loop assigns.",
        f"Pass '{name}' to {function}() as an argument.",
    )


def shared_and_changed(line: int, name: str) -> Refusal:
    return Refusal(
        line,
        name,
        f"the loop assigns or changes '{name}', which --share gives to all workers as it was before the loop.",
        f"Leave --share {name} out, or let the loop collect in another variable.",
    )


def iterated_and_changed(node: ast.AST, name: str) -> Refusal:
    return Refusal(
        _line(node),
        name,
        f"the loop runs over '{name}' and changes it.",
        f"Run over a copy (list({name}), list({name}.items())), or collect the changes in another variable.",
    )


def lazy_reads(node: ast.AST, name: str) -> Refusal:
    return Refusal(
        _line(node),
        name,
        f"what the loop runs over reads '{name}' lazily while the loop changes it.",
        "Make it a list before the loop.",
    )


def lazy_changes(node: ast.AST, name: str) -> Refusal:
    return Refusal(
        _line(node),
        name,
        f"what the loop runs over changes '{name}' as it goes on, and the loop reads it meanwhile.",
        "Make it a list before the loop.",
    )


def changed_meanwhile(line: int, name: str) -> Refusal:
    return Refusal(
        line,
        name,
        f"what the loop runs over may change '{name}' from item to item, and the loop reads it meanwhile; a loop that is split"
        " reads all items first.",
        f"Let the items bring what the loop needs of '{name}', or %%parallel --serial runs the cell as it is.",
    )


def prints_meanwhile(line: int) -> Refusal:
    return Refusal(
        line,
        "",
        "what the loop runs over prints, and so does the loop: a loop that is split reads all items first, and their lines"
        " would come first.",
        "Make it a list before the loop, or %%parallel --serial runs the cell as it is.",
    )


def same_item(line: int, kind: str) -> Refusal:
    return Refusal(
        line,
        "",
        f"what the loop runs over gives the same {kind} more than once, and may change it from item to item; a loop that is"
        " split reads all items first.",
        "Let it give a copy each time (yield x.copy()); if it changes nothing, run over list(...).",
    )


def unsupported_form(node: ast.AST, name: str, reason: str, remedy: str) -> Refusal:
    return Refusal(_line(node), name, reason, remedy)


def unknown_kind(node: ast.AST, name: str, method: str, item: bool) -> Refusal:
    if item:
        return Refusal(
            _line(node),
            name,
            f"'.{method}' means different things for a set, a dict and a Counter, and what the items of '{name}' are cannot"
            " be told from the cell.",
            f"Bind '{name}' in an earlier cell, or just before the loop ({name} = defaultdict(set), ...), or write"
            f" {name}.setdefault(key, set()).{method}(...).",
        )
    return Refusal(
        _line(node),
        name,
        f"'{name}.{method}' means different things for a set, a dict and a Counter, and what '{name}' is when the loop"
        " starts cannot be told from the cell.",
        f"Bind '{name}' in an earlier cell, or just before the loop ({name} = set(), {name} = {{}}, ...).",
    )


def own_factory(line: int, name: str, factory: object) -> Refusal:
    shown = getattr(factory, "__qualname__", None) or type(factory).__name__
    return Refusal(
        line,
        name,
        f"what '{name}' makes for a missing key comes from {shown}, which may give something else at another time.",
        f"Use a type or a lambda that only makes a new object, such as {name} = defaultdict(lambda: {{'n': 0}}).",
    )


def new_fields(line: int, name: str, keys: list[object]) -> Refusal:
    found = " and ".join(map(repr, keys[:2]))
    return Refusal(
        line,
        name,
        f"the loop puts new items into '{name}' in different ways ({found}), and their order could not be told.",
        f"Put all of them there before they are changed ({{{', '.join(f'{key!r}: ...' for key in keys[:2])}}}).",
    )


def another_order(line: int, name: str, best: object) -> Refusal:
    return Refusal(
        line,
        name,
        f"how {a(type(best).__name__)} that '{name}' stands for compares with the values of the loop may depend on the order of the"
        " comparisons.",
        f"Let '{name}' start as None (if {name} is None or ...), or use max(...) or min(...) over a comprehension.",
    )


def not_computed(line: int, name: str, kind: str) -> Refusal:
    return Refusal(
        line,
        name,
        f"what '{name}' is bound to could not be computed ({kind}), for what may be the best.",
        f"Compute it before the 'if' ({name}_ = ...) and assign that variable.",
    )


def below(line: int, name: str, least: object) -> Refusal:
    return Refusal(
        line,
        name,
        f"'{name}' holds an item that does not reach {least!r}, with which the workers compare what they find.",
        f"Let '{name}' begin without such items, or ask whether the key is there (k not in {name} or ...).",
    )


def none_again(line: int, name: str, best: object, by_key: bool = False) -> Refusal:
    shown = "None" if best is None else f"{a(type(best).__name__)} that is false"
    asked = f"{name}.get(k)" if by_key else name
    return Refusal(
        line,
        name,
        f"{'an item of ' if by_key else ''}'{name}' would be {shown}, which counts as nothing found yet: in the serial cell"
        " whatever comes next takes its place.",
        f"Leave such items out{f', or ask {asked} is None' if best is not None else ''}.",
    )


def not_told_apart(line: int, name: str) -> Refusal:
    return Refusal(
        line,
        name,
        f"'{name}' holds values of which it is not certain that equal ones are found by their hash, as the workers do.",
        "Tell them apart by a number, a text or a tuple of such, or make the list after the loop.",
    )


def wrong_kind(line: int, name: str, value: object, wanted: str) -> Refusal:
    kind = type(value).__name__
    if type(value) is not getattr(value, "__class__", None):
        return Refusal(
            line,
            name,
            f"'{name}' is frozen: a %%parallel cell shares it with the workers, and the loop changes it.",
            f"{name} = firn.thaw({name}) gives a copy that can be changed.",
        )
    return Refusal(
        line,
        name,
        f"'{name}' is {a(kind)}, and the loop changes it in a way that can only be merged into {wanted}.",
        f"Use {wanted}, or collect the changes in a list and apply them after the loop.",
    )


def used_up(line: int, name: str, value: object) -> Refusal:
    return Refusal(
        line,
        name,
        f"'{name}' is {a(type(value).__name__)}: what an iteration takes from it depends on the iterations before.",
        _in_turn(name, value),
    )


def takes_in_turn(node: ast.AST, name: str) -> Refusal:
    return Refusal(
        _line(node),
        name,
        f"what next() takes from '{name}' depends on the iterations before.",
        _in_turn(name, None),
    )


def _in_turn(name: str, value: object) -> str:
    """What to write for an iterator that the iterations of a loop ask in turn."""
    if type(value) in (itertools.count, itertools.cycle):
        return "It has no end: number the items with enumerate(...) and compute what it would give from the number."
    if hasattr(value, "executemany"):
        return f"Collect the values in a list, and write them after the loop ({name}.executemany)."
    return f"Read it before the loop (values = list({name})) and pair the values with the items (zip)."


def reads_on(line: int, name: str, value: object) -> Refusal:
    return Refusal(
        line,
        name,
        f"'{name}' is {a(type(value).__name__)}: the serial cell reads it no further than to where the result is certain, a"
        " loop that is split to its end.",
        f"Read it before the loop (values = list({name})).",
    )


def keeps_state(line: int, name: str, value: object) -> Refusal:
    return Refusal(
        line,
        name,
        f"'{name}' is {a(type(value).__name__)}, whose state every use changes: the workers would each change a copy.",
        f"Collect what is to go to '{name}' in a list and hand it over after the loop; read what comes from it before the loop; or"
        " make one in each iteration. The functions of the random module have a stream for each iteration.",
    )


def same_object(line: int, name: str, other: str) -> Refusal:
    return Refusal(
        line,
        name,
        f"'{name}' and '{other}' share one object, which the loop changes under one name and uses under the other.",
        f"Give '{name}' an object of its own{', or run over range(len(...))' if other == SEQUENCE else ''}.",
    )


def shared_values(line: int, name: str) -> Refusal:
    return Refusal(
        line,
        name,
        f"several keys of '{name}' hold one and the same object, which the loop changes.",
        "Give each key an object of its own ({k: [] for k in keys}, not dict.fromkeys(keys, []); [[] for _ in range(n)], not"
        " [[]] * n).",
    )


def found_by_identity(line: int, name: str, kind: type) -> Refusal:
    return Refusal(
        line,
        name,
        f"'{name}' has keys of type {kind.__qualname__}, which are found by identity only: what a worker has of such an"
        " object is another one.",
        f"Use what tells them apart (a number, a name) as key, or give {kind.__qualname__} __eq__ and __hash__.",
    )


def not_builtin(line: int, name: str) -> Refusal:
    return Refusal(
        line,
        name,
        f"'{name}' was rebound while the cell ran and is no longer what the cell was split for.",
        f"Do not rebind '{name}' in a %%parallel cell.",
    )


def reserved(node: ast.AST, name: str) -> Refusal:
    return Refusal(_line(node), name, f"'{name}' is a name of firn's own.", "Use another name.")


def cannot_replay(line: int, name: str) -> Refusal:
    return Refusal(
        line,
        name,
        f"values that the loop puts into '{name}' may have been changed after that, or raise where they are merged.",
        "Collect them in a list and combine them after the loop.",
    )


def loops_inside(function: str) -> str:
    """Not a refusal: why the loops of a function that the cell calls stay serial."""
    return f"{function}() has loops of its own, which are not split: only the cell's own loops are"
