"""Compares every read of a frozen value with the same read of its original. Runs in any interpreter."""

import collections
import copy
import math
import operator
import pickle

MISSING = object()


def outcome(read, *arguments):
    """What a read gives, or the type of what it raises."""
    try:
        return read(*arguments)
    except Exception as error:
        return type(error)


def same(one, other):
    """Equal, of one class, and NaN where NaN is."""
    if isinstance(one, float) and isinstance(other, float):
        return (one == other and math.copysign(1, one) == math.copysign(1, other)) or (one != one and other != other)
    if one is other:
        return True
    if one.__class__ is not other.__class__:
        return False
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, tuple | list | collections.deque):
        return len(one) == len(other) and all(map(same, one, other, strict=True))
    if isinstance(one, dict):
        return (
            len(one) == len(other)
            and all(map(same, one.keys(), other.keys(), strict=True))
            and all(map(same, one.values(), other.values(), strict=True))
        )
    return one == other


def text(value):
    return f"{value!s} {value!r}"


READS = {
    object: [bool, str, repr, hash, lambda x: isinstance(x, x.__class__), lambda x: x == x, lambda x: x != x,
             lambda x: x == 5, lambda x: x == "x", lambda x: x < x, copy.copy, copy.deepcopy,
             lambda x: pickle.loads(pickle.dumps(x)), text, dir],
    tuple | list | collections.deque: [
        len, list, tuple, lambda x: list(reversed(x)), lambda x: x[0], lambda x: x[-1], lambda x: x[len(x)],
        lambda x: x[1:3], lambda x: x[::-2], lambda x: x + x, lambda x: x * 2, lambda x: 2 * x, lambda x: x.index(x[0]),
        lambda x: [x.count(v) for v in x], lambda x: [v in x for v in x], lambda x: 5 in x, lambda x: [*x],
        lambda x: min(x), lambda x: x.copy(), lambda x: x == list(x), lambda x: x < [5],
        lambda x: operator.length_hint(x), lambda x: x == tuple(x), lambda x: x.maxlen, lambda x: list(enumerate(x)),
    ],
    dict: [
        len, list, dict, lambda x: list(reversed(x)), lambda x: list(x.items()), lambda x: list(x.values()),
        lambda x: list(x.keys()), lambda x: [x[k] for k in x], lambda x: copy.copy(x)[MISSING], lambda x: x.get(MISSING, 3),
        lambda x: [x.get(k) for k in x], lambda x: [k in x for k in x], lambda x: MISSING in x, lambda x: {**x},
        lambda x: x | {1: 2}, lambda x: {1: 2} | x, lambda x: x.copy(), lambda x: x == dict(x), lambda x: [] in x,
        lambda x: x.keys() & {1, "a"}, lambda x: x.keys() == set(x), lambda x: x[[]], lambda x: x.most_common(),
        lambda x: x.total(), lambda x: x.default_factory, lambda x: (lambda **kw: kw)(**x),
    ],
    set | frozenset: [
        len, set, frozenset, lambda x: x | {1}, lambda x: x & {1, "a"}, lambda x: x - {1}, lambda x: x ^ {1},
        lambda x: {1} | x, lambda x: x <= x, lambda x: x < x, lambda x: x.isdisjoint(x), lambda x: x.union([5]),
        lambda x: x.issubset(x), lambda x: all(v in x for v in x), lambda x: MISSING in x, lambda x: x.copy(),
        lambda x: x == set(x), lambda x: [] in x,
    ],
    str: [lambda x: x.encode("utf-8", "surrogatepass"), str.encode, str.upper, str.split, str.isidentifier, len,
          lambda x: x[::-1], lambda x: x in {x: 1}, lambda x: x.join("ab"), ascii, lambda x: x + "x", list],
    int | float | complex: [lambda x: x + 1, lambda x: -x, lambda x: x * x, lambda x: x / 3, int, float, lambda x: {x: 1}[x],
                            operator.index, lambda x: x.real, round, lambda x: divmod(x, 7)],
    bytes: [len, list, bytes.hex, lambda x: memoryview(x).tolist(), lambda x: x + b"x", lambda x: x[:2], bytes.split],
    range | slice: [lambda x: (x.start, x.stop, x.step), lambda x: list(x)[:5], lambda x: list(range(20))[x]],
}  # fmt: skip


# What depends on the order in which a set was filled.
TEXTS = (str, repr, ascii, text)


def compare(frozen, plain, path="x"):
    """Raises AssertionError with the path of the first read that differs. Both are walked side by side."""
    todo = [(frozen, plain, path)]
    seen = set()
    while todo:
        one, other, at = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        assert one.__class__ is other.__class__, f"{at}: {one.__class__} instead of {other.__class__}"
        unordered = has_set(other)
        for kind, reads in READS.items():
            if not isinstance(other, kind):
                continue
            for read in reads:
                if unordered and read in TEXTS:
                    continue
                got, wanted = outcome(read, one), outcome(read, other)
                assert same(got, wanted), f"{at}: read {reads.index(read)} of {kind}: {got!r} instead of {wanted!r}"
        if isinstance(other, dict):
            for (k1, v1), (k2, v2) in zip(one.items(), other.items(), strict=True):
                todo += [(k1, k2, f"list({at})"), (v1, v2, f"{at}[{k2!r}]")]
        elif isinstance(other, tuple | list | collections.deque):
            todo += [(a, b, f"{at}[{i}]") for i, (a, b) in enumerate(zip(one, other, strict=True))]
        elif isinstance(other, set | frozenset):
            members = {member: member for member in one}
            todo += [(members[member], member, f"member of {at}") for member in other if member == member]


def has_set(value):
    """Whether a set is in it: then texts depend on the order in which that was filled."""
    todo, seen = [value], set()
    while todo:
        value = todo.pop()
        if isinstance(value, set | frozenset):
            return True
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            todo += [*value.keys(), *value.values()]
        elif isinstance(value, slice):
            todo += [value.start, value.stop, value.step]
        elif isinstance(value, tuple | list | collections.deque):
            todo += value
    return False
