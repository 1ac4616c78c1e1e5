"""What every kind of frozen container must refuse, as statements about `x`."""

from __future__ import annotations

from face_tables import SEQUENCES, SETS

WRITES_ALL = """
x.nonsense = 1
del x.nonsense
x.__init__()
x.__init__([])
x.clear()
"""
WRITES_SEQUENCE = """
x[0] = 1
x[100] = 1
x[1:2] = []
del x[0]
del x[:]
x.append(1)
x.append()
x.extend([1])
x.insert(0, 1)
x.pop()
x.remove(1)
x.reverse()
x += [1]
x += ()
x *= 2
x.__setitem__(0, 1)
x.__delitem__(0)
operator.setitem(x, 0, 1)
operator.delitem(x, 0)
operator.iadd(x, [1])
operator.imul(x, 2)
operator.iconcat(x, [1])
"""
WRITES_LIST = """
x.sort()
x.sort(key=str)
"""
WRITES_DEQUE = """
x.appendleft(1)
x.extendleft([1])
x.popleft()
x.rotate(1)
"""
WRITES_MAPPING = """
x["a"] = 1
x["new"] = 1
del x["a"]
x.pop("a")
x.popitem()
x.setdefault("a", 1)
x.update(a=1)
x.update({})
x |= {"a": 1}
x.__setitem__("a", 1)
operator.setitem(x, "a", 1)
operator.delitem(x, "a")
operator.ior(x, {"a": 1})
exec("a = 1", {}, x)
"""
WRITES_ORDERED = """
x.move_to_end("a")
"""
WRITES_COUNTER = """
x.subtract("a")
x += Counter("a")
x -= Counter("a")
x &= Counter("a")
x["a"] += 1
"""
WRITES_SET = """
x.add(1)
x.discard(1)
x.remove(1)
x.pop()
x.update([1])
x.difference_update([1])
x.intersection_update([1])
x.symmetric_difference_update([1])
x |= {1}
x &= {1}
x -= {1}
x ^= {1}
operator.ior(x, {1})
"""

# Writes that CPython's own code refuses before firn is asked: an exception, whatever it says.
WRITES_REFUSED_BY_OTHERS = """
list.append(x, 1)
list.__init__(x)
list.sort(x)
list.extend(x, [1])
list.__setitem__(x, 0, 1)
list.__iadd__(x, [1])
list.clear(x)
dict.update(x, {})
dict.__setitem__(x, "a", 1)
dict.setdefault(x, "a")
dict.clear(x)
dict.__init__(x)
dict.__ior__(x, {})
set.add(x, 1)
set.update(x, [1])
deque.append(x, 1)
OrderedDict.move_to_end(x, "a")
heapq.heappush(x, 1)
heapq.heappop(x)
heapq.heapify(x)
heapq.heapreplace(x, 1)
heapq.heappushpop(x, 1)
exec("a = 1", x)
eval("1", x)
object.__setattr__(x, "a", 1)
object.__delattr__(x, "a")
x.__class__ = int
object.__new__(type(x))
type(x).append = 1
type("Derived", (type(x),), {})
weakref.proxy(x)
bisect.insort(x, 1)
"""


def writes_of(name: str) -> list[str]:
    text = WRITES_ALL
    if name in SEQUENCES:
        text += WRITES_SEQUENCE + (WRITES_DEQUE if "deque" in name else WRITES_LIST)
    elif name in SETS:
        text += WRITES_SET
    else:
        text += WRITES_MAPPING
        if name == "OrderedDict":
            text += WRITES_ORDERED
        if "Counter" in name:
            text += WRITES_COUNTER
    return [line for line in text.splitlines() if line]
