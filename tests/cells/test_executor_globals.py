"""The notebook's globals in the workers of an executor: copies of their own, one for each object."""


def test_equal_globals_are_not_one(notebook):
    notebook.ok(
        "import firn, random\nleft, right = [], []\nclass Box:\n    def __init__(self): self.items = []\n"
        "one, two = Box(), Box()\nr1, r2 = random.Random(1), random.Random(1)\nsame = other = {}\n"
        "def lists(): left.append(1); return right\ndef boxes(): one.items.append(1); return two.items\n"
        "def draws(): return r1.random() == r2.random()\ndef aliases(): same['x'] = 1; return other\n"
        "def later(): return right\nexecutor = firn.Executor(1)"
    )
    results = notebook.ok("[executor.submit(f).result() for f in (lists, boxes, draws, aliases, later)]")
    assert results == [[], [], True, {"x": 1}, []]
    notebook.ok("executor.shutdown()")


def test_a_new_object_under_a_name_reaches_the_workers_though_it_is_equal(notebook):
    notebook.ok(
        "import firn\nresults = []\ndef add(x): results.append(x); return list(results)\nexecutor = firn.Executor(1)"
    )
    found = [notebook.ok("executor.submit(add, 1).result()"), notebook.ok("executor.submit(add, 2).result()")]
    for kept in ("[]", "[0]", "[]"):
        found.append(notebook.ok(f"results = {kept}\nexecutor.submit(add, 3).result()"))
    assert found == [[1], [1, 2], [3], [0, 3], [3]]
    notebook.ok("executor.shutdown()")


def test_a_large_object_at_the_place_of_another_is_another(notebook):
    notebook.ok(
        "import firn, weakref, gc\ndef work(): queue.pop(); return len(queue)\nfound = []\n"
        "with firn.Executor(1) as executor:\n    for t in range(8):\n        queue = None\n"
        "        queue = list(range(100_000))\n        found.append(executor.submit(work).result())"
    )
    assert notebook["found"] == [99_999] * 8


def test_what_nothing_is_bound_to_is_not_kept(notebook):
    notebook.ok(
        "import firn, weakref, gc\nclass Data:\n    def __init__(self): self.items = [1]\ndata, other = Data(), [1]\n"
        "gone = weakref.ref(data)\ndef work(): data.items.append(1); return len(data.items)\ndef also(): return len(other)\n"
        "executor = firn.Executor(1)\nexecutor.submit(work).result()\ndel data\nexecutor.submit(also).result()\ngc.collect()"
    )
    assert notebook.ok("gone() is None") is True
    notebook.ok("executor.shutdown()")
