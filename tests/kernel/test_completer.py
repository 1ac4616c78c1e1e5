"""Completions are IPython's and jedi's: what the kernel spares them changes no reply."""

import pytest
from firn_kernel import completer
from IPython.core.completer import IPCompleter, provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from test_inference import CODES, SETTING, completed

FIRNS = ["frozen", "parallel", "thaw"]
IPYKERNELS = ["autosave", "clear", "connect_info", "less", "man", "more", "qtconsole", "subshell"]
OWN = {*FIRNS, *IPYKERNELS, "firn", "__loader__", "__spec__"}


@pytest.fixture(scope="module")
def ipykernel(start_kernel):
    kernel = start_kernel(spec="python3")
    assert kernel.run(SETTING).status == "ok"
    return kernel


def common(kernel, code):
    """Without the magics that one of them has, and what one of them has put into the notebook's namespace. (The names that
    an import may take come in any order, also with ipykernel.)"""
    places, found = completed(kernel, code)
    found = [one for one in found if one[0].lstrip("%") not in OWN]
    return places, sorted(found) if "import" in code else found


@pytest.mark.row("completions are ipykernel's")
def test_they_are_those_of_ipykernel(kernel, ipykernel):
    """Forwards and backwards, so that each is found alone and after others."""
    assert kernel.run(SETTING).status == "ok"
    for one in (kernel, ipykernel):
        one.run("%config Completer.jedi_compute_type_timeout = 60000")
    for code in [*CODES, *reversed(CODES)]:
        assert common(kernel, code) == common(ipykernel, code), code


@pytest.mark.parametrize("variable", ["time", "timeout", "nothing"])
def test_magics_are_found_as_ipython_finds_them(variable):
    """A variable hides a magic of its name."""
    shell = InteractiveShell(user_ns={variable: 1})
    quick, plain = shell.Completer, IPCompleter(shell=shell, namespace=shell.user_ns, parent=shell)
    completer.quicken(quick)
    found = 0
    for text in [
        "",
        "t",
        "ti",
        "time",
        "timei",
        "time.",
        "x.ti",
        "%",
        "%ti",
        "%time",
        "%%",
        "%%ti",
        "%%time.",
        "no such",
        "é",
    ]:
        with provisionalcompleter():
            results = [each._complete(full_text=text, cursor_line=0, cursor_pos=len(text)) for each in (quick, plain)]
        assert list(results[0]) == list(results[1])
        magics = [result.get("IPCompleter.magic_matcher", {"completions": []}) for result in results]
        assert repr(magics[0]) == repr(magics[1]), text
        found += len(magics[0]["completions"])
    assert found > 100
