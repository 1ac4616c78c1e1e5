"""Imports are repeated in the workers; what they cannot load is refused before launch, with the way out."""

from __future__ import annotations

import decimal
import importlib
import pkgutil
import sys
import time
import warnings
from concurrent import interpreters
from pathlib import Path
from typing import Any

import firn
import pytest
from firn import _core, modules, settings
from firn.modules import Unloadable

IMPORTS = {
    "import": ("import re", "re.sub('a', 'b', 'a') + str(x)"),
    "as": ("import json as j", "j.dumps([x])"),
    "from": ("from collections import Counter", "Counter([x])[x]"),
    "from C": ("from math import sqrt", "sqrt(x)"),
    "submodule": ("import os.path", "os.path.join('a', str(x))"),
    "submodule as": ("import xml.etree.ElementTree as ET", "ET.fromstring('<a/>').tag"),
    "package and submodule": (
        "import xml.etree.ElementTree\nimport xml",
        "xml.etree.ElementTree.fromstring('<b/>').tag",
    ),
    "in a function": ("import concurrent.futures\ndef f(x): return concurrent.futures.Future.__name__", "f(x)"),
    "inside a function": ("def f(x):\n    import string\n    return string.digits[x]", "f(x)"),
    "instance of a module's class": ("import re\np = re.compile('[0-9]')", "bool(p.match(str(x)))"),
    "firn itself": ("import firn\nrows = [[1], [2], [3], [4]]", "firn.thaw(rows)[x] + [x]"),
    "an object with odd attributes": (
        "class Odd:\n    def __getattr__(self, name): raise RuntimeError(name)\nclass C:\n    odd = Odd()\n    n = 5",
        "C.n",
    ),
    "pure package": ("import cloudpickle", "cloudpickle.__name__"),
}


@pytest.mark.parametrize("how", IMPORTS)
def test_imports_are_repeated(how: str, notebook: Any) -> None:
    cell, body = IMPORTS[how]
    notebook.cell(cell)
    assert notebook.loop(body) == [eval(body, notebook.names, {"x": x}) for x in range(4)]


REFUSED = {
    "module": ("import numpy as np", "np.sqrt(x)", "tolist()"),
    "function": ("from numpy import sqrt", "sqrt(x)", "tolist()"),
    "in a function": ("import numpy as np\ndef f(x): return np.sqrt(x)", "f(x)", "tolist()"),
    "masked array": ("import numpy as np\na = np.ma.arange(3)", "a[x]", "tolist()"),
    "frame": ("import pandas as pd\nt = pd.DataFrame({'a': [1]})", "t.a[0]", "to_dict"),
    "pandas": ("import pandas as pd", "pd.isna(x)", "to_dict"),
    "pyarrow": ("import pyarrow as pa", "pa.array([x])", "to_pylist"),
    "in a method that is called": (
        "import numpy as np\nclass C:\n    def m(self): return np.pi",
        "C().m()",
        "tolist()",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_worker_can_load_is_refused(what: str, refused: Any) -> None:
    cell, body, way_out = REFUSED[what]
    error = refused(cell, body)
    assert isinstance(error, Unloadable) and isinstance(error, ImportError)
    assert "does not support loading in subinterpreters" in str(error) and way_out in error.remedy


def test_an_unused_module_is_no_reason_to_refuse(notebook: Any) -> None:
    notebook.cell(
        "import numpy as np\nfrom dataclasses import dataclass\n@dataclass\nclass C:\n    a: np.ndarray\n    b: int = 1\n"
        "    def plot(self): return np.pi\ndef f(x: np.ndarray) -> np.ndarray: return x\n"
    )
    assert notebook.loop("(C(x).a, f(x))") == [(x, x) for x in range(4)]
    with pytest.raises(Exception, match="does not support loading in subinterpreters"):
        notebook.loop("getattr(C(x), 'pl' + 'ot')()")


def test_a_module_made_by_hand_is_refused(refused: Any) -> None:
    error = refused("import types\nmine = types.ModuleType('mine_by_hand')\nmine.a = 1", "mine.a + x")
    assert isinstance(error, Unloadable) and "mine_by_hand" in str(error)


def test_a_module_that_fails_at_import_is_refused_until_it_is_mended(refused: Any, notebook: Any, beside: Path) -> None:
    (beside / "only_main.py").write_text("import signal\nsignal.signal(signal.SIGUSR1, signal.SIG_DFL)\n")
    error = refused("import only_main", "only_main.signal + x")
    assert isinstance(error, Unloadable) and "signal only works in main thread" in str(error)
    (beside / "only_main.py").write_text("signal = 5\n")
    notebook.cell("import importlib\nimportlib.reload(only_main)\n")
    assert notebook.loop("only_main.signal + x") == [5, 6, 7, 8]


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules next to the notebook."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def test_modules_beside_the_notebook_are_imported(notebook: Any, beside: Path) -> None:
    (beside / "helper_beside.py").write_text("big = list(range(1000))\ndef twice(x): return 2 * x + len(big)\n")
    notebook.cell("import helper_beside\nfrom helper_beside import twice\ndef f(x): return twice(x)\n")
    assert notebook.loop("f(x) + helper_beside.twice(x)") == [2000 + 4 * x for x in range(4)]
    assert notebook.shipment.figures.frozen == []


def test_a_decorator_of_a_module_brings_none_of_its_globals(notebook: Any, beside: Path) -> None:
    (beside / "decorating.py").write_text(
        "import threading\nlock = threading.Lock()\ndef deco(f):\n    def inner(x):\n        with lock: return f(x) + 1\n    return inner\n"
    )
    notebook.cell("from decorating import deco\n@deco\ndef f(x): return x\n")
    assert notebook.loop("f(x)") == [1, 2, 3, 4]


def test_a_reloaded_module_is_reloaded_in_the_workers(notebook: Any, beside: Path) -> None:
    path = beside / "reloaded_beside.py"
    path.write_text("def answer(): return 1\n")
    notebook.cell("import importlib, reloaded_beside\n")
    assert notebook.loop("reloaded_beside.answer()") == [1] * 4
    path.write_text("def answer(): return 222\n")
    notebook.cell("importlib.reload(reloaded_beside)\nfrom reloaded_beside import answer\n")
    assert notebook.loop("(reloaded_beside.answer(), answer())") == [(222, 222)] * 4
    path.write_text("def answer(): return 33\n")
    notebook.cell("importlib.reload(reloaded_beside)\n")
    assert notebook.loop("(reloaded_beside.answer(), answer())") == [(33, 222)] * 4
    path.write_text("def answer(): return 4444\n")
    notebook.cell("import sys\ndel sys.modules['reloaded_beside']\nimport reloaded_beside\n")
    assert notebook.loop("(reloaded_beside.answer(), answer())") == [(4444, 222)] * 4
    settings.stop_counting()  # as one does who takes others' finders off sys.meta_path
    path.write_text("def answer(): return 55555\n")
    notebook.cell("importlib.reload(reloaded_beside)\n")
    assert notebook.loop("(reloaded_beside.answer(), answer())") == [(55555, 222)] * 4


def test_a_filter_waits_for_the_module_of_its_category(notebook: Any, beside: Path) -> None:
    (beside / "warns_late.py").write_text("class Outer:\n    class Late(UserWarning): pass\n")
    notebook.cell("import warnings\nimport warns_late\n")
    notebook.cell("def late():\n    import warns_late as found\n    warnings.warn('bad', found.Outer.Late)\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", notebook["warns_late"].Outer.Late)
        with pytest.raises(Exception, match="bad"):
            notebook.loop("late()")


def test_workers_load_no_decimal_for_the_ordinary_context(notebook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.settings()["decimal"] == (settings.ORDINARY, settings.ORDINARY)
    notebook.cell("import sys\ndef loaded(x): return 'decimal' in sys.modules\n")
    pool = _core.Pool(1)
    monkeypatch.setattr(notebook, "pool", pool)
    try:
        assert set(notebook.loop("loaded(x)")) == {False}
    finally:
        pool.close()


def test_warning_filters_and_the_decimal_context_are_followed(notebook: Any) -> None:
    notebook.cell("import warnings\nfrom decimal import Decimal\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        with decimal.localcontext(prec=5):
            assert notebook.loop("str(Decimal(1) / 3)")[0] == "0.33333"
            with pytest.raises(Exception, match="old"):
                notebook.loop("warnings.warn('old', DeprecationWarning)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert notebook.loop("(str(Decimal(1) / 3), warnings.warn('old', DeprecationWarning))")[0][0].startswith(
            "0.3333333"
        )
    assert notebook.output == []


def test_a_module_is_tried_once_and_those_of_the_standard_library_never(
    monkeypatch: pytest.MonkeyPatch, beside: Path
) -> None:
    tried: list[str] = []
    original = modules._try

    def spy(keys: list[tuple[str, object]]) -> dict[str, str]:
        tried.extend(name for name, _ in keys)
        return original(keys)

    monkeypatch.setattr(modules, "_try", spy)
    (beside / "tried_once.py").write_text("a = 1\n")
    (beside / "colorsys.py").write_text("a = 1\n")
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    for name in ("json", "tried_once", "colorsys"):  # the last one is not the standard library's
        importlib.import_module(name)
        assert modules.why_not([name]) == modules.why_not([name]) == {}
    assert tried == ["tried_once", "colorsys"]
    assert "subinterpreters" in modules.why_not(["faulthandler"])["faulthandler"]


def test_what_is_known_of_modules_is_true() -> None:
    names = sorted(sys.stdlib_module_names - modules._NOT_IN_WORKERS)
    names += [found.name for found in pkgutil.walk_packages(firn.__path__, "firn.") if "__main__" not in found.name]
    names.append("cloudpickle")
    assert "firn.analysis.cell" in names
    probe = interpreters.create()
    try:
        probe.exec(f"import sys; sys.path[:] = {sys.path!r}")
        refused = [name for name in names if not name.startswith("_test") and _refuses(probe, name)]
    finally:
        probe.close()
    assert refused == []


def test_no_module_is_tried_for_the_first_function(monkeypatch: pytest.MonkeyPatch, notebook: Any) -> None:
    monkeypatch.setattr(modules, "_tried", {})
    monkeypatch.setattr(modules, "_try", lambda keys: pytest.fail(f"tried {keys}"))
    notebook.cell(
        "from dataclasses import dataclass\nK = [1]\n@dataclass\nclass P:\n    n: int\n"
        "def f(x, part=P(3)):\n    return x + K[0] + part.n"
    )
    assert notebook.loop("f(x)") == [4, 5, 6, 7]


def _refuses(probe: interpreters.Interpreter, name: str) -> bool:
    try:
        probe.exec(f"import {name}")
    except interpreters.ExecutionFailed as error:
        return modules.REFUSES in str(error)
    return False


def test_limits_and_environment_variables_are_followed(notebook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook.cell("import os\ndef deep(n): return 0 if n == 0 else 1 + deep(n - 1)\n")
    assert notebook.loop("os.environ.get('FIRN_TEST_VARIABLE')") == [None] * 4
    monkeypatch.setenv("FIRN_TEST_VARIABLE", "set")
    limits = sys.getrecursionlimit(), sys.get_int_max_str_digits()
    sys.setrecursionlimit(20_000)
    sys.set_int_max_str_digits(0)
    try:
        expected = [(9000 + n, 5001, "set") for n in range(4)]
        assert notebook.loop("(deep(9000 + x), len(str(10**5000)), os.environ.get('FIRN_TEST_VARIABLE'))") == expected
    finally:
        sys.setrecursionlimit(limits[0])
        sys.set_int_max_str_digits(limits[1])


def test_the_time_zone_is_followed_once_the_notebook_has_set_it(notebook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook.cell("import time\n")
    zone = "(time.tzname, time.timezone, time.altzone, time.daylight, time.localtime(0).tm_hour)"
    try:
        for name in ("Asia/Tokyo", "Europe/Paris", "UTC"):
            monkeypatch.setenv("TZ", name)
            assert notebook.loop(zone) == [eval(zone)] * 4
            time.tzset()
            assert notebook.loop(zone) == [eval(zone)] * 4
    finally:
        monkeypatch.undo()
        time.tzset()
