"""Teaches libraries that ask for exact types how to read frozen values.

Frozen lists, dicts, sets ... answer `isinstance` as their originals do, and nearly all code asks no more than that.
A few modules look at `type(x)` or call `PyList_Check`; each has a lesson here, with the reason. Lessons are given once
in each interpreter: at once where the module is loaded, else when it is imported, so that `import firn` loads nothing.
"""

from __future__ import annotations

import sys

from firn._core import FrozenCallable, FrozenDict, FrozenFace, FrozenList, is_frozen, shallow

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes longer to load than all of this
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

FROZEN_TYPES: tuple[type, ...] = (FrozenList, FrozenDict, FrozenFace, FrozenCallable)


def _teach_json(encoder: Any) -> None:
    """json's encoder in C takes exact lists and dicts and gives all else to `default`: with `default=str` a row
    would become a string. `default` is asked only for what the encoder in Python would ask it for."""
    make_encoder = encoder.c_make_encoder
    if make_encoder is None:
        return

    def make_teaching_encoder(markers: Any, default: Callable[[Any], Any], *settings: Any) -> Any:
        def default_for_others(value: Any) -> Any:
            if type(value) in FROZEN_TYPES and issubclass(value.__class__, (list, tuple, dict)):
                return shallow(value)
            return default(value)

        return make_encoder(markers, default_for_others, *settings)

    encoder.c_make_encoder = make_teaching_encoder


def _teach_pprint(pprint: Any) -> None:
    """pprint chooses by `type(x).__repr__`, and sorts the keys of exact dicts only."""
    printer = pprint.PrettyPrinter
    repr_of_others = printer._safe_repr

    def print_frozen(self: Any, value: Any, stream: Any, *where: Any) -> None:
        plain = shallow(value)
        method = self._dispatch.get(type(plain).__repr__)
        if method is not None:
            method(self, plain, stream, *where)
        elif is_made_by_dataclass(plain):
            self._pprint_dataclass(plain, stream, *where)
        else:
            stream.write(self._repr(plain, *where[2:]))

    def is_made_by_dataclass(value: Any) -> bool:
        made = getattr(type(value).__repr__, "__wrapped__", None)
        return hasattr(type(value), "__dataclass_params__") and "__create_fn__" in getattr(made, "__qualname__", "")

    def safe_repr(self: Any, value: Any, context: dict[int, int], maxlevels: int, level: int) -> Any:
        if type(value) not in FROZEN_TYPES:
            return repr_of_others(self, value, context, maxlevels, level)
        if id(value) in context:
            return pprint._recursion(value), False, True
        context[id(value)] = 1
        try:
            return repr_of_others(self, shallow(value), context, maxlevels, level)
        finally:
            del context[id(value)]

    for kind in FROZEN_TYPES:
        printer._dispatch[kind.__repr__] = print_frozen
    printer._safe_repr = safe_repr
    pprint._recursion = lambda value: f"<Recursion on {value.__class__.__name__} with id={id(value)}>"


def _teach_reprlib(reprlib: Any) -> None:
    """reprlib chooses by the name of `type(x)`."""

    def repr_frozen(self: Any, value: Any, level: int) -> str:
        from firn.display import short_repr  # workers hardly ever need it

        return short_repr(self, value, level)

    for kind in FROZEN_TYPES:
        setattr(reprlib.Repr, "repr_" + kind.__name__, repr_frozen)


def _teach_guarded_eval(guarded_eval: Any) -> None:
    """IPython completes `rows[0]["` only through types that it trusts to have no side effects."""
    for trusted in (guarded_eval.BUILTIN_GETITEM, guarded_eval.BUILTIN_GETATTR, guarded_eval.BUILTIN_OPERATIONS):
        trusted.update(FROZEN_TYPES)
    for policy in guarded_eval.EVALUATION_POLICIES.values():
        for allowed in ("allowed_getitem", "allowed_getattr", "allowed_operations"):
            if set in getattr(policy, allowed, ()) or list in getattr(policy, allowed, ()):
                getattr(policy, allowed).update(FROZEN_TYPES)


def _teach_display(pretty: Any) -> None:
    from firn.display import teach_printer

    teach_printer(pretty)


def _teach_completer(completer: Any) -> None:
    from firn.exploring import teach_completer

    teach_completer(completer)


def _teach_inspector(oinspect: Any) -> None:
    from firn.exploring import teach_inspector

    teach_inspector(oinspect)


def _teach_namespace(namespace: Any) -> None:
    from firn.display import teach_namespace

    teach_namespace(namespace)


def _teach_yaml(representer: Any) -> None:
    """yaml.safe_dump refuses what is not exactly a list, a dict or a set."""
    for kind in FROZEN_TYPES:
        representer.SafeRepresenter.add_representer(kind, lambda dumper, value: dumper.represent_data(shallow(value)))


def _teach_weakref(weakref: Any) -> None:
    """CPython enters a proxy into a list that begins in the object. References have another way (the heap's
    weak_references.cpp); a proxy has none."""
    make_proxy = weakref.proxy

    def proxy(object: Any, callback: Callable[[Any], Any] | None = None, /) -> Any:
        if is_frozen(object) and (type(object) is frozenset or type(object) in FROZEN_TYPES):
            name = object.__class__.__name__
            raise TypeError(f"cannot create a weak proxy of a frozen {name}: use the value itself, or weakref.ref()")
        return make_proxy(object, callback)

    weakref.proxy = sys.modules["_weakref"].proxy = proxy  # type: ignore[attr-defined]


def _teach_dataclasses(dataclasses: Any) -> None:
    """asdict(), astuple(), replace() and is_dataclass() look at `type(x)`."""

    def is_dataclass_instance(value: Any) -> bool:
        return hasattr(value.__class__ if type(value) in FROZEN_TYPES else type(value), "__dataclass_fields__")

    def is_dataclass(value: Any) -> bool:
        return hasattr(value, "__dataclass_fields__") if isinstance(value, type) else is_dataclass_instance(value)

    def teach_walk(name: str) -> None:
        walk = getattr(dataclasses, name)

        def walk_frozen(value: Any, factory: Any) -> Any:
            return walk(shallow(value) if type(value) in FROZEN_TYPES else value, factory)

        setattr(dataclasses, name, walk_frozen)

    teach_walk("_asdict_inner")
    teach_walk("_astuple_inner")
    is_dataclass.__doc__ = dataclasses.is_dataclass.__doc__
    dataclasses._is_dataclass_instance = is_dataclass_instance
    dataclasses.is_dataclass = is_dataclass


_lessons: dict[str, Callable[[Any], None]] = {
    "json.encoder": _teach_json,
    "pprint": _teach_pprint,
    "reprlib": _teach_reprlib,
    "dataclasses": _teach_dataclasses,
    "weakref": _teach_weakref,
    "IPython.core.completer": _teach_completer,
    "IPython.core.guarded_eval": _teach_guarded_eval,
    "IPython.core.magics.namespace": _teach_namespace,
    "IPython.core.oinspect": _teach_inspector,
    "IPython.lib.pretty": _teach_display,
    "yaml.representer": _teach_yaml,
}


class _TeachingLoader:
    """Loads a module with its own loader, gives it its lesson, and is gone."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: Any) -> ModuleType | None:
        module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        _give_lesson(module.__name__, module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)


class _LessonFinder:
    """Stands first on `sys.meta_path` while modules with a lesson are not loaded; finds them as the others do."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in _lessons:
            return None
        for finder in sys.meta_path:
            spec: Any = None if isinstance(finder, _LessonFinder) else finder.find_spec(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _TeachingLoader(spec.loader)
                return spec
        return None


def _give_lesson(name: str, module: Any) -> None:
    """A library whose inside has changed keeps working as it is: a lesson that fails is left out."""
    lesson = _lessons.pop(name, None)
    if lesson is not None:
        try:
            lesson(module)
        except Exception as error:
            import warnings

            warnings.warn(f"firn could not teach {name} to read frozen values: {error!r}", stacklevel=2)


def add_lesson(name: str, lesson: Callable[[Any], None]) -> None:
    """One more lesson, now or when the module is imported."""
    _lessons[name] = lesson
    teach()


def teach() -> None:
    """Gives the lessons of the modules that are loaded, and waits for the others to be imported."""
    for name in list(_lessons):
        if name in sys.modules:
            _give_lesson(name, sys.modules[name])
    if _lessons and not any(isinstance(finder, _LessonFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _LessonFinder())
