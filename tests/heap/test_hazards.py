"""Each hazard of the design by its name: what once crashed, or would."""

import gc
import keyword
import math
import sys

import firn
import pytest
from firn import _core


def fresh(text: str) -> str:
    """A new string object with this content, not interned."""
    return "".join([text[:1], text[1:]]) if len(text) > 1 else text


def test_flag_and_count_both_say_immortal(readers):
    # The evaluation loop tags by the flag, everything else looks at the count: both loops would write.
    frozen = firn.freeze([fresh("text one"), 10**20, 2.5, (1, fresh("text two"))])
    code = """
    for _ in range(3000):
        for x in frozen:
            y = x
            z = [y, y]
            del z
        a, b, c, d = frozen
        e, f = d
    """
    readers.run(code, frozen)


def test_frozen_strings_as_names_are_never_interned_in_place(readers):
    names = firn.freeze([fresh(f"zq_name_{i}") for i in range(50)])
    code = """
    import sys
    class A:
        pass
    for name in frozen:
        a = A()
        setattr(a, name, 1)
        assert getattr(a, name) == 1 and vars(a) == {name: 1}
        setattr(A, name, 7)
        assert getattr(A, name) == 7
        delattr(A, name)
        assert not hasattr(A, name)
        assert (lambda **kw: kw)(**{name: 4}) == {name: 4}
        assert sys.intern(name) == name
        scope = {}
        exec(f"{name} = 10", scope)
        assert scope[name] == 10
        exec(f"assert {name} == 11", {name: 11})
        M = type("M", (), {name: 1, "__slots__": (name + "s",)})
        assert getattr(M(), name) == 1
        globals()[name] = 3
        assert eval(name) == 3
        del globals()[name]
    """
    readers.run(code, names)


DUNDERS = sorted(
    {
        name
        for base in (
            object,
            int,
            float,
            str,
            list,
            dict,
            set,
            type(lambda: 0),
            type(iter([])),
            type((lambda: (yield))()),
            type(memoryview(b"")),
            complex,
        )
        for name in dir(base)
        if name.startswith("__")
    }
    | {
        "__del__",
        "__matmul__",
        "__imatmul__",
        "__aiter__",
        "__anext__",
        "__await__",
        "__get__",
        "__set__",
        "__delete__",
        "__call__",
    }
)


def test_dunder_names_freeze_to_the_static_strings_that_slots_compare_by_address(readers):
    frozen = firn.freeze([fresh(name) for name in DUNDERS])
    code = """
    def answer(self, *rest):
        return 12
    for name in frozen:
        class C:
            pass
        class D:
            pass
        try:
            setattr(C, "".join([name[:3], name[3:]]), answer)
        except (TypeError, AttributeError):
            continue
        setattr(D, name, answer)
        for call in (len, hash, int, bool, repr, iter, next, abs, float, lambda x: x(), lambda x: x + 1, lambda x: x == 3,
                     lambda x: x[0], lambda x: x.nothing):
            outcomes = []
            for kind in (C, D):
                try:
                    outcomes.append(call(kind()))
                except (TypeError, AttributeError) as error:
                    outcomes.append(type(error))
            said = [outcome if outcome == 12 or isinstance(outcome, type) else "its own" for outcome in outcomes]
            assert said[0] == said[1], (name, call, outcomes)
    """
    readers.run(code, frozen)


@pytest.mark.parametrize("text", ["", *map(chr, range(256)), *keyword.kwlist, "__len__", "utf-8", "name"])
def test_what_equals_a_static_string_freezes_to_it(text):
    canonical = sys.intern(text)
    frozen = firn.freeze([fresh(text)])[0]
    if len(text) < 2 or text in ("__len__", "utf-8", "name"):
        assert frozen is canonical
    assert frozen == text


def test_utf8_is_there_before_the_first_reader(readers):
    texts = ["häuser", "日本語", "mixed ß 日 😀", "\x80" * 3, "a" * 1000 + "é", "\U0010ffff", "߿ࠀ￿𐀀"]
    frozen = firn.freeze([fresh(text) for text in texts])
    assert [text.encode() for text in frozen] == [text.encode() for text in texts]
    readers.run(
        """
        import ast
        for text in frozen:
            assert text.encode().decode() == text
            int.from_bytes(text.encode("utf-16"), "big")
            try:
                compile(text, text, "eval")      # asks for the cached UTF-8
            except SyntaxError:
                pass
            getattr(frozen, text, None)
            open.__name__, {text: 1}[text]
        """,
        frozen,
    )


def test_lone_surrogates_raise_and_write_nothing(readers):
    frozen = firn.freeze(["\ud800", "ab\udfffcd", "日\ud83d"])
    code = """
    for text in frozen:
        for attempt in (text.encode, lambda: compile(text, "f", "eval"), lambda: int(text), lambda: open(text),
                        lambda: getattr(text, text), lambda: float(text), lambda: exec(text)):
            try:
                attempt()
            except (UnicodeEncodeError, ValueError, OSError, AttributeError):
                pass
            else:
                raise AssertionError(attempt)
        assert text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass") == text
        assert hash(text) == hash(text[:1] + text[1:])
    """
    readers.run(code, frozen)


def test_hashes_are_cached_before_the_first_reader(readers):
    import datetime as dt

    zone = dt.timezone(dt.timedelta(hours=2), "zone")
    values = [
        (1, 2, ("x", 3.5)),
        (),
        ((), ((),)),
        frozenset({1, (2, 3)}),
        frozenset(),
        frozenset({frozenset({frozenset()})}),
        b"bytes",
        b"",
        fresh("string"),
        1.5,
        10**40,
        2 + 3j,
        range(3, 9, 2),
        slice(1, 2),
        (slice(1, (2,)),),
        dt.date(2024, 2, 29),
        dt.time(1, 2, 3, 4),
        dt.time(1, 2, tzinfo=zone),
        dt.datetime(2024, 1, 1, fold=1),
        dt.datetime(2024, 1, 1, tzinfo=zone),
        dt.timedelta(1, 2, 3),
        zone,
        (dt.timedelta(7), zone),
        ((range(3),),),
        (None, True, ..., NotImplemented, int, ValueError),
    ]
    if sys.version_info >= (3, 15):
        values += [frozendict({"a": 1, "b": (1, 2)}), frozendict(), (frozendict({1: (2,)}),)]  # noqa: F821
    frozen = firn.freeze(values)
    assert [hash(value) for value in frozen] == [hash(value) for value in values]
    readers.run("assert [hash(value) for value in frozen] == hashes", frozen, hashes=[hash(value) for value in values])


def test_unhashable_tuples_stay_unhashable(readers):
    frozen = firn.freeze([([],), (({},),), ((1, ([], 2)),), (set(),)])
    code = "\n".join(
        [
            "for value in frozen:",
            "    try:",
            "        hash(value)",
            "    except TypeError:",
            "        continue",
            "    raise AssertionError(value)",
        ]
    )
    readers.run(code, frozen)


def test_collectors_of_all_interpreters_pass_over_frozen_objects(readers):
    cycle = []
    cycle.append((cycle, {"self": cycle}, frozenset({1})))
    frozen = firn.freeze(cycle)
    code = """
    import gc
    for _ in range(5):
        keep = [frozen, {"a": frozen}, (frozen, [frozen[0]])]
        keep.append(keep)
        del keep
        for generation in range(3):
            gc.collect(generation)
    assert not gc.is_tracked(frozen) and not gc.is_tracked(frozen[0])
    assert all(type(o) is not tuple or id(o) != id(frozen[0]) for o in gc.get_objects())
    gc.get_referents(frozen, frozen[0], iter(frozen), frozen[0][1])
    """
    readers.run(code, frozen)


def test_weak_references_to_frozen_values_write_nothing(readers):
    """CPython would enter them into a list that begins in the object."""
    frozen = firn.freeze([frozenset({1, 2}), {frozenset({"key"}): "value"}, {3, 4}])
    code = """
    import gc, weakref
    from functools import partial

    inner = [value for value in gc.get_referents(iter(frozen[2])) if type(value) is frozenset]
    for value in [frozen[0], *frozen[1], *inner]:
        called = []
        references = [weakref.ref(value), weakref.ref(value, called.append), weakref.ref(value, None)]
        assert all(reference() is value for reference in references)
        assert len({*references}) == 1 and hash(references[0]) == hash(value)
        mapping = weakref.WeakKeyDictionary({value: "there"})
        values = weakref.WeakValueDictionary(there=value)
        assert mapping[value] == "there" and values["there"] is value and value in weakref.WeakSet([value])
        finalizer = weakref.finalize(value, called.append, 1)
        assert finalizer.alive and finalizer.detach()
        cycle = [value, references]
        cycle.append(weakref.ref(value, partial(cycle.append)))
        del references, mapping, values, cycle
        gc.collect()
        assert not called
        for make in (weakref.proxy, partial(weakref.proxy, value)):
            try:
                make(value)
            except TypeError as error:
                assert "weak proxy of a frozen frozenset" in str(error), error
            else:
                raise AssertionError
    for wrong in ((), (1,), (value, None, None)):
        try:
            weakref.ref(*wrong)
        except TypeError:
            pass
        else:
            raise AssertionError(wrong)
    ordinary = frozenset({5})
    reference = weakref.ref(ordinary)
    assert weakref.ref(ordinary) is reference and set(weakref.proxy(ordinary)) == {5}
    del ordinary
    assert reference() is None
    """
    readers.run(code, frozen)


def test_the_tuple_behind_the_iterator_of_a_list_is_only_read(readers):
    frozen = firn.freeze([[1, "a"], [[2], {"unhashable": []}]])
    code = """
    import gc
    for values in (frozen, *frozen):
        [inner] = [value for value in gc.get_referents(iter(values)) if type(value) is tuple]
        assert inner == tuple(values) and inner + (1,) != inner and inner * 1 == inner
        grown = inner
        grown += (1,)
        hash(inner), {inner: 1}[inner]
        assert list(values) == list(inner)
    """
    readers.run(code, frozen)


def test_static_objects_have_their_hash_before_threads_ask_for_it(run_python):
    code = """
        import datetime
        from firn import _core
        pairs = [(datetime.timezone.utc, number) for number in range(5000, 25000)]
        frozen = _core.freeze_roots({"pairs": pairs}, threads=4).frozen["pairs"]
        assert len({*frozen}) == 20000 and (datetime.timezone.utc, 5000) in {*frozen}
    """
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_keys_that_hash_by_identity_are_found_after_freezing(readers):
    nan = float("nan")
    plain = {nan: "nan", (1, nan): "pair", 2.5: "float", "s": 1, complex(0, nan): "c"}
    frozen = firn.freeze(plain)
    keys = list(frozen)
    assert [frozen[key] for key in keys] == list(plain.values())
    assert nan not in frozen
    for make in (set, frozenset):
        members = firn.freeze(make([nan, (nan, 1), *range(20), "x"]))
        assert len(members) == 23 and all(member in members for member in list(members))
        assert sum(isinstance(member, float) and math.isnan(member) for member in members) == 1
    nested = firn.freeze({frozenset([nan]): 1, (frozenset([nan]),): 2})
    assert [nested[key] for key in list(nested)] == [1, 2]
    readers.run("assert all(frozen[key] == value for key, value in frozen.items())", frozen)


def test_copies_of_dicts_count_no_references_of_frozen_tables(readers):
    rows = firn.freeze(
        [{"a": i, "b": str(i), "c": [i]} for i in range(100)]
        + [{i: i for i in range(100)}, {str(i): i for i in range(100)}, {}, {f"k{i}": i for i in range(30)}]
    )
    code = """
    for row in frozen:
        copy = row.copy()
        assert type(copy) is dict and copy == row
        copy["new"] = 1
        copy.update(row)
        del copy["new"]
        for key in list(copy):
            del copy[key]
        assert len(row) == 0 or copy == {}
        assert list({**row}) == list(row) and list(dict(row)) == list(row)
        if all(isinstance(key, str) for key in row):
            (lambda **kw: kw.update(z=1))(**row)
            class Holder:
                pass
            holder = Holder()
            holder.__dict__ = row.copy()
            holder.fresh = 1
            exec("a = 3\\nfresh = 4\\ndel a", row.copy())
        again = row.copy()
        again.clear()
        {**row} | row.copy()
    """
    readers.run(code, rows)


def test_copies_of_dicts_give_their_tables_back(readers):
    code = """
    import gc
    import sys
    from firn import thaw
    for row in frozen:
        for read in (lambda: row.copy(), lambda: {**row}, lambda: row | {}, lambda: dict(row), lambda: thaw(row)):
            read()
            gc.collect()
            before = sys.getallocatedblocks()
            for _ in range(250):
                read()
            gc.collect()
            assert sys.getallocatedblocks() - before < 125, (row, sys.getallocatedblocks() - before)
    """
    rows = [{i: i for i in range(4)}, {(i,): i for i in range(4)}, {"a": 1, "b": 2}, {1: "a", "b": [1]}]
    readers.run(code, firn.freeze(rows))


def test_types_work_in_an_interpreter_that_never_imported_datetime_or_collections():
    import collections
    import concurrent.interpreters as interpreters
    import datetime as dt

    frozen = firn.freeze(
        [dt.date(2020, 1, 2), dt.timedelta(1), dt.UTC, collections.deque([1]), collections.Counter("ab")]
    )
    interpreter = interpreters.create()
    try:
        interpreter.prepare_main(at=_core.address(frozen), path=tuple(sys.path))
        interpreter.exec(
            "import sys; sys.path[:] = path\nfrom firn import _core\nx = _core.adopt(at)\n"
            "assert x[0].year == 2020 and x[1].days == 1 and str(x[2]) == 'UTC' and len(x[3]) == 1 and x[4]['a'] == 1"
        )
    finally:
        interpreter.close()


def test_writing_functions_of_c_meet_an_exception(readers):
    frozen = firn.freeze({"list": [3, 1, 2], "dict": {"a": 1}, "set": {1, 2}})
    code = """
    import bisect, heapq, random, operator
    x, d, s = frozen["list"], frozen["dict"], frozen["set"]
    attempts = [
        lambda: heapq.heappush(x, 1), lambda: heapq.heapify(x), lambda: heapq.heappop(x), lambda: list.append(x, 1),
        lambda: list.sort(x), lambda: dict.update(d, a=2), lambda: dict.pop(d, "a"), lambda: dict.clear(d),
        lambda: bisect.insort(x, 2), lambda: random.shuffle(x), lambda: exec("a = 1", d), lambda: set.add(s, 3),
        lambda: x.append(1), lambda: d.update(a=1), lambda: s.add(5), lambda: operator.setitem(x, 0, 1),
        lambda: operator.delitem(d, "a"), lambda: x.sort(), lambda: object.__setattr__(x, "a", 1),
    ]
    for attempt in attempts:
        try:
            attempt()
        except (TypeError, AttributeError):
            continue
        raise AssertionError(attempt)
    """
    readers.run(code, frozen)
    assert firn.thaw(frozen) == {"list": [3, 1, 2], "dict": {"a": 1}, "set": {1, 2}}


def test_an_interpreter_may_end_while_others_read(readers):
    import concurrent.interpreters as interpreters

    frozen = firn.freeze([{"a": (i, str(i)), "t": frozenset({i})} for i in range(1000)])
    for _ in range(3):
        interpreter = interpreters.create()
        interpreter.prepare_main(at=_core.address(frozen), path=tuple(sys.path))
        interpreter.exec(
            "import sys; sys.path[:] = path\nfrom firn import _core\nx = _core.adopt(at)\n"
            "keep = [dict(r) for r in x] + [list(x)] + [r['t'] | {1} for r in x]"
        )
        interpreter.close()
        readers.run("assert sum(r['a'][0] for r in frozen) == 499500", frozen)
    assert gc.collect() >= 0


def test_exec_and_comprehensions_over_frozen_values_specialise_without_writing(readers):
    frozen = firn.freeze({"rows": [{"x": i, "y": (i, i + 1)} for i in range(50)], "names": {"x": "y"}})
    code = """
    def work(data):
        total = 0
        for row in data["rows"]:
            a, b = row["y"]
            total += row["x"] + a + b + len(row) + row.get("z", 0)
            match row:
                case {"x": int(value), "y": (first, *_)}:
                    total += value - first
        return total
    results = {work(frozen) for _ in range(200)}
    assert len(results) == 1
    scope = frozen["names"].copy()
    for _ in range(200):
        exec("x; x; len", scope)
    """
    readers.run(code, frozen)


# What CPython's own slots and descriptors answer where no frozen value takes part.
NEIGHBOUR = """
import inspect, weakref

class Words(list):
    def append(self, word):
        super().append(word)
        return super().__len__(), super(Words, self).count(word), super().__repr__()

class Table(dict):
    def __getitem__(self, key): return super().__getitem__(key), super().get(key), super().__contains__(key)

class Bag(set):
    def add(self, one): super().add(one); return super().__len__()

class Pair(tuple):
    def __getitem__(self, at): return super().__getitem__(at), super().index(2)

def tried(code):
    try:
        return repr(eval(code))
    except Exception as error:
        return f"{type(error).__name__}: {error}"

words, table, bag, pair, text, data = Words("ab"), Table(a=1), Bag([1]), Pair((1, 2)), "%s", b"%s"
for _ in range(30):
    answers = [tried(code) for code in (
        "words.append('c')", "table['a']", "table['b']", "bag.add(2)", "pair[1]", "list.append(words)",
        "list.append(1, 2)", "list.append(words, 1, 2)", "dict.get(table)", "dict.get(words, 1)", "tuple.index(pair, 9)",
        "list.index(words, x=1)", "object.__repr__(5, 6)", "object.__eq__(1)", "list.__len__(words)", "list.__len__({})",
        "list.sort(words, key=str)", "text % (1,)", "text % 1", "text % {}", "text % (1, 2)", "text % pair", "'abc' % 1",
        "'abc' % {}", "'abc' % [1]", "'%(a)s' % table", "'%(a)s' % {'a': 2}", "'%s %s' % 1", "data % b'x'",
        "data % (b'x', b'y')", "b'abc' % 1", "'abc' % {1}", "'%d' % words", "5 % 'a'", "text.__mod__((1,))",
        "text.__rmod__('%s')", "str.__mod__(text, 4)", "list.append.__get__(words)('z')", "list.append.__get__(5)",
        "type(list.append.__get__(None, list)).__name__", "list.__len__.__get__(words)()", "list.__len__.__get__(5)",
        "type(words.append).__name__", "type([].append).__name__", "str(inspect.signature(list.index))",
        "list.append.__text_signature__", "list.append.__qualname__", "weakref.ref(bag)() is bag",
        "weakref.ref(bag) is weakref.ref(bag)", "weakref.ref(table, None)() is table", "weakref.ref(1)", "weakref.ref()",
        "weakref.proxy(bag) == bag", "sorted(map(str.lower, 'BA'))",
    )]
    print(*(answer.split(' at 0x')[0] for answer in answers), sep="\\n")
"""


def test_code_without_frozen_values_answers_as_without_firn(run_python):
    """firn stands before methods of builtin classes, the formatting of text and weak references."""
    without = run_python(NEIGHBOUR)
    alone = run_python("import firn\n" + NEIGHBOUR)
    beside = (
        "import firn\nclass W(list): pass\nclass T(dict): pass\nclass B(set): pass\nclass P(tuple): pass\n"
        "kept = firn.freeze([W([1]), T(a=1), B([1]), P((1, 2))])\n"
        "assert [len(one) for one in kept] == [1, 1, 1, 2] and kept[0].count(1) == 1 and kept[3].index(2) == 1\n"
    )
    together = run_python(beside + NEIGHBOUR)
    assert without.returncode == 0 and without.stdout.count("TypeError") > 100, without.stderr
    assert alone.stdout == without.stdout and together.stdout == without.stdout
    assert alone.stderr == together.stderr == without.stderr


def test_what_an_interpreter_was_given_for_records_goes_with_it(run_python):
    """Its descriptors and its types' dicts; the other interpreters, and later ones, go on."""
    code = """
        import concurrent.interpreters as interpreters, textwrap, firn
        from firn import _core
        class Words(list):
            def first(self): return super().__getitem__(0)
        kept = firn.freeze(Words([1, 2]))
        there = textwrap.dedent('''
            from firn import _core
            from collections.abc import Sized
            class Words(list):
                def first(self): return super().__getitem__(0)
            _core.define(number, Words)
            kept = _core.adopt(at)
            assert kept.first() == 1 and kept.count(2) == 1 and not callable(kept) and isinstance(kept, Sized)
            assert "%s" % (kept,) == "[1, 2]"
        ''')
        for _ in range(10):
            other = interpreters.create()
            other.prepare_main(at=_core.address(kept), number=_core.number_of(Words))
            other.exec(there)
            assert kept.first() == 1
            other.close()
            assert kept.first() == 1 and Words([7]).first() == 7
    """
    done = run_python(code)
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_what_goes_last_may_write_and_freeze(run_python):
    """Codecs, among others, are kept for longer than the modules."""
    done = run_python("""
        import codecs, os
        import firn

        class Last:
            def __init__(self, rows):
                self.rows = rows
            def __call__(self, name):
                return None
            def __del__(self, any=BaseException, firn_freeze=firn.freeze, write=os.write):
                for step in lambda: self.rows.append(1), lambda: firn_freeze([self, 1.5]):
                    try:
                        step()
                        write(1, b"done\\n")
                    except any:
                        write(1, b"refused\\n")

        codecs.register(Last(firn.freeze([1])))
    """)
    assert (done.returncode, done.stdout.splitlines()[:1]) == (0, ["refused"]), done.stderr
    assert len(done.stdout.splitlines()) == 2
