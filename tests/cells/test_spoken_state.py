"""Instances of classes that say what their state is, in the workers: what they are there, and what is lost of them."""

SPEAKERS = """
import time
class Shop:
    def __init__(self): self.calls = 0
    def __getstate__(self): return {}
    def __setstate__(self, state): self.__init__()
class Part:
    def __init__(self): self.v, self.calls, self.cache, self.lazy, self.made = 1, 0, {}, None, time.perf_counter()
    def __getstate__(self): return {"v": self.v}
    def __setstate__(self, state): self.__init__(); self.v = state["v"]
def count(o, n):
    o.calls += 1
    return o.calls
def remember(o, n):
    o.cache[n] = o.lazy = n * o.v
    return o.lazy
"""


def test_an_empty_state_is_given_back(notebook):
    notebook.ok(f"{SPEAKERS}shop = Shop()")
    notebook.ok("%%parallel --chunk 1\ncalls = [getattr(shop, 'calls') for n in range(4)]")
    assert notebook["calls"] == [0] * 4


def test_what_a_class_leaves_out_of_its_state_may_be_a_cache_and_no_count(notebook):
    notebook.ok(f"{SPEAKERS}part = Part()")
    notebook.ok("%%parallel --chunk 1\nfound = [remember(part, n) for n in range(40)]")
    assert notebook["found"] == [*range(40)]
    error = notebook.fails("%%parallel --chunk 1\nfound = [count(part, n) for n in range(40)]")
    assert type(error).__name__ == "LostEffect" and "Part" in str(error)


def test_what_the_workers_made_is_looked_at_after_other_definitions(notebook):
    """Of frozen data they make objects when they first look at it: of the classes that the job brings."""
    notebook.ok(
        "class P:\n    def __init__(self): self.a = 1\nclass Q(P): pass\n"
        "class Num:\n    def __init__(self): self.v = 5\n    def __getstate__(self): return dict(self.__dict__)\n"
        "makers = {'P': lambda: P(), 'Q': lambda: Q(), 'N': lambda: Num()}\n"
        "def poke(o, n):\n    o.v += 1\n    return o.v\ndef look(o, n): return 0\nthing = P()"
    )
    notebook.ok("%%parallel --chunk 1 --share makers\nfound = [look(thing, n) for n in range(4)]")
    notebook.ok("thing = Num()")
    error = notebook.fails("%%parallel --chunk 1 --share makers\nfound = [poke(thing, n) for n in range(4)]")
    assert type(error).__name__ == "LostEffect" and notebook["thing"].v == 5
