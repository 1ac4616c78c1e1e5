"""What jedi has found out for one completion, kept for those that follow at once.

Most of a completion is jedi's time, and most of that goes into finding out again what the modules and objects of the
namespace are: it begins each time from nothing. Who types `os.path.is` asks for completions several times before any code
runs; then only the text has changed. So the state is kept while nothing but completions is asked for, at most ten seconds,
and only where no code of the user's can run in between (CellRunner.alone). jedi keeps a state for all questions to one
`Script` itself; what it counts for each question begins anew. Python's search for garbage, which takes tens of milliseconds now
and then, waits until the reply is out.
"""

import gc
import threading
import time
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LIFETIME = 10.0  # seconds, for who thinks between two letters; the modules' files, which jedi reads, change too


class _Here(threading.local):
    """What the completion that runs in this thread begins with, and leaves."""

    state: Any = None
    offered = False


_here = _Here()


class KeptInference:
    """One kernel's. Any thread may call forget(); the rest is the main thread's."""

    def __init__(self) -> None:
        self._state: Any = None
        self._until = 0.0  # time.monotonic() when the state has had its time
        self._turn = 0  # counts what may have changed something
        self._hooked = False
        self._timer: TimerHandle | None = None

    def forget(self) -> None:
        """Code runs now: the next completion begins from nothing. Lets go of all objects of the user's."""
        self._turn += 1
        self._state = None

    @contextmanager
    def used(self, loop: AbstractEventLoop) -> Iterator[None]:
        """While it lasts, what jedi is asked in this thread goes on from what it knows. What an exception ends is not kept,
        for jedi notes half an answer as if it were whole."""
        if not self._hooked:
            self._hooked = True
            _hook_into_jedi()
            _keep_names()
            _ask_for_signatures_once()
        known, turn, self._state = self._state, self._turn, None
        if known is not None and time.monotonic() >= self._until:
            known = None
        _here.state, _here.offered = known, True
        collects = gc.isenabled()
        gc.disable()
        try:
            yield
            if self._turn == turn:
                self._keep(_here.state, known, loop)
        finally:
            _here.state, _here.offered = None, False
            if collects:
                loop.call_soon(gc.enable)

    def _keep(self, state: Any, known: Any, loop: AbstractEventLoop) -> None:
        self._state = state
        if state is not known:
            self._until = time.monotonic() + LIFETIME
        if state is not None and self._timer is None:
            self._timer = loop.call_later(LIFETIME, self._let_go, loop)

    def _let_go(self, loop: AbstractEventLoop) -> None:
        """Objects of the user's are not held for longer than this takes."""
        self._timer = None
        left = self._until - time.monotonic()
        if self._state is not None and left > 0:
            self._timer = loop.call_later(left, self._let_go, loop)
        else:
            self._state = None


def _hook_into_jedi() -> None:
    """jedi makes its state itself, where nobody can hand one in."""
    import jedi.api

    fresh = getattr(jedi.api, "InferenceState", None)
    if fresh is None:
        return  # another jedi: each completion begins from nothing

    def state(project: Any, environment: Any = None, script_path: Any = None) -> Any:
        if not _here.offered or script_path is not None:
            return fresh(project, environment=environment, script_path=script_path)
        known = _here.state
        if known is None or known.project.path != project.path:
            known = _here.state = fresh(project, environment=environment)
        # How often questions have led to a piece of code: at some hundred times it looks there no more.
        known.inferred_element_counts.clear()
        return known

    jedi.api.InferenceState = state


def _keep_names() -> None:
    """Two things that jedi finds out for each text anew though its state knows them: what an object of the namespace is in
    its source, and which names it has."""
    try:
        from jedi.cache import memoize_method
        from jedi.inference.compiled import mixed, value
        from jedi.inference.context import ModuleContext

        create, filters, names = mixed._create, mixed.MixedObject.get_filters, value.CompiledValueFilter.values
    except ImportError, AttributeError:
        return  # another jedi

    def created(state: Any, compiled: Any, module: Any) -> Any:
        # jedi would notice that the object's source is the very text, which is never so for a text without a file.
        if type(module) is ModuleContext and module.py__file__() is None:
            module = None
        return create(state, compiled, module)

    def kept_filters(self: Any, *arguments: Any, **options: Any) -> Any:
        kept = vars(self).get("firn_filters")
        if kept is None:
            kept = self.firn_filters = list(filters(self, *arguments, **options))
        return iter(kept)

    mixed._create = created
    mixed.MixedObject.get_filters = kept_filters
    value.CompiledValueFilter.values = memoize_method(names)


class _AskedOnce:
    """A completion of jedi's that works out its signatures a single time."""

    def __init__(self, completion: Any) -> None:
        self._completion = completion
        self._signatures: Any = None

    def get_signatures(self) -> Any:
        if self._signatures is None:
            self._signatures = self._completion.get_signatures()
        return self._signatures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._completion, name)


def _ask_for_signatures_once() -> None:
    """IPython asks each function whether it has signatures, and then for the first."""
    from IPython.core import completer

    make = getattr(completer, "_make_signature", None)
    if make is not None:
        completer._make_signature = lambda completion: make(_AskedOnce(completion))
