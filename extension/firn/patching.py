"""Runs a module's edited file again in place, as IPython's `%autoreload` does: its functions and classes stay the objects
that they are, with the new code. What else holds them, other modules and frozen instances, then has the new code as well.

It runs in workers, hence it imports nothing that a worker may not need.
"""

from __future__ import annotations

import importlib
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any

_KEPT = ("__name__", "__loader__", "__spec__", "__file__", "__package__", "__path__", "__builtins__", "__cached__")
_OF_A_FUNCTION = (
    "__code__",
    "__defaults__",
    "__kwdefaults__",
    "__doc__",
    "__dict__",
    "__annotate__",
    "__type_params__",
)
_OF_A_CLASS = frozenset({"__dict__", "__weakref__", "__module__", "__qualname__", "__annotations_cache__"})


def reload(module: ModuleType) -> None:
    """Runs the module's file and keeps its functions and classes; where that raises, the module stays as it was."""
    space = vars(module)
    before = dict(space)
    space.clear()
    space.update({name: before[name] for name in _KEPT if name in before})
    try:
        _execute(module)
        _keep(before, space, module.__name__)
    except BaseException:
        space.clear()
        space.update(before)
        raise


def _execute(module: ModuleType) -> None:
    """From the source where there is one: bytecode counts as current if the file's size and its second are the same."""
    loader: Any = getattr(module.__spec__, "loader", None)
    try:
        path = loader.path
        code = loader.source_to_code(loader.get_data(path), path)
    except AttributeError:
        importlib.reload(module)
    else:
        exec(code, vars(module))


def _keep(before: dict[str, Any], space: dict[str, Any], home: str) -> None:
    """Puts the functions and classes from before back under their names, with what their successors are."""
    kept: dict[type, type] = {}  # by the successor
    for name, old in before.items():
        new = space.get(name)
        if new is old or getattr(old, "__module__", None) != home:
            continue
        if isinstance(old, type):
            if _class_becomes(old, new, kept):
                kept[new] = space[name] = old  # type: ignore[index]
        elif _function_becomes(old, new):
            space[name] = old


def _function_becomes(old: Any, new: Any) -> bool:
    """Gives a function the code of another; whether that was possible."""
    if type(old) is not FunctionType or type(new) is not FunctionType:
        return False
    if old.__code__.co_freevars != new.__code__.co_freevars:
        return False
    for name in _OF_A_FUNCTION:
        setattr(old, name, getattr(new, name))
    for variable, cell, fresh in zip(
        old.__code__.co_freevars, old.__closure__ or (), new.__closure__ or (), strict=True
    ):
        if variable != "__class__":  # of super(): the old class, which stays
            cell.cell_contents = fresh.cell_contents
    return True


def _class_becomes(old: Any, new: Any, kept: dict[type, type]) -> bool:
    """Gives a class the attributes of another; whether that was possible: not for enumerations, whose members are
    instances, and not where instances look different in memory."""
    if type(old) is not type(new) or hasattr(old, "_member_map_") or _slots(old) != _slots(new):
        return False
    if old.__bases__ != tuple(kept.get(base, base) for base in new.__bases__):
        return False
    for name in vars(old).keys() - vars(new).keys() - _OF_A_CLASS:
        delattr(old, name)
    for name, value in list(vars(new).items()):
        if name not in _OF_A_CLASS and type(value) not in (GetSetDescriptorType, MemberDescriptorType):
            _point_to(value, new, old)
            if not _function_becomes(vars(old).get(name), value):
                setattr(old, name, value)
    return True


def _slots(cls: type) -> set[str]:
    return {name for name, value in vars(cls).items() if type(value) is MemberDescriptorType}


def _point_to(value: Any, new: type, old: type) -> None:
    """Lets super() in a method mean the class that stays."""
    parts = (value, *(getattr(value, name, None) for name in ("__func__", "__wrapped__", "fget", "fset", "fdel")))
    for function in parts:
        for cell in getattr(function, "__closure__", None) or ():
            if _content(cell) is new:
                cell.cell_contents = old


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return None
