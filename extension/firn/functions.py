"""Freezing code: a frozen function captures the values of what it reads, as PEP 795 has it.

CPython writes to code objects as they run, so that no two interpreters can share one: every interpreter has its own
replica of a function. What makes a function frozen is that all that it reads is: its globals, the variables that it
captured, its defaults, and those of the notebook's functions that it calls. The notebook's variables stay rebindable,
and the function does not notice. Not seen: names that are made at run time (`globals()[word]`, `eval`), and what the
methods of classes read that are not frozen themselves.

Imported by every worker at its start, therefore without any import that takes time.
"""

from __future__ import annotations

import builtins
import functools
import opcode
import sys
import types
import weakref
from _thread import get_ident
from collections.abc import Iterator
from contextlib import contextmanager

from firn import _core, exact_types, optouts

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any, Final, NoReturn

_CACHE: Final = functools._lru_cache_wrapper
_CODE: Final = frozenset(
    {
        types.FunctionType, types.MethodType, types.BuiltinMethodType, types.MethodWrapperType, functools.partial, _CACHE,
        staticmethod, classmethod, property,
    }
)  # fmt: skip
_OF_C: Final = (types.BuiltinMethodType, types.MethodWrapperType)
_CONTAINERS: Final = frozenset({list, dict, set, bytearray})
_AS_IT_IS: Final = frozenset(
    {
        types.ModuleType, types.MethodDescriptorType, types.WrapperDescriptorType,
        types.ClassMethodDescriptorType, types.GetSetDescriptorType,
        types.MemberDescriptorType, type(None), bool, float, complex, object,
    }
)  # fmt: skip
_SMALL: Final = 256
_STORE_GLOBAL: Final = frozenset(opcode.opmap[name] for name in ("STORE_GLOBAL", "DELETE_GLOBAL"))
_STORE_FREE: Final = frozenset(opcode.opmap[name] for name in ("STORE_DEREF", "DELETE_DEREF"))

_frozen: dict[int, weakref.ref[Any]] = {}
"""The frozen functions, methods ... of this interpreter, by id."""

_as_they_are: set[int] = set()
"""Threads whose freezing captures nothing."""

_active: dict[int, _Capture] = {}
"""Thread -> what it is capturing: freezing data may meet functions, and these belong to the same capture."""


def freeze[T](obj: T, /) -> T:
    """A frozen copy of `obj`, deep, that every interpreter of the process can read by reference (PEP 795).

    The copy reads as the original and raises TypeError when it is written to. Sharing and cycles within `obj` are
    kept; what is frozen already, or shared by all interpreters anyway (None, small integers, builtin types), is
    returned as it is, at once.

    Of a function, the result is a function of the same code that has captured frozen values of everything it reads:
    globals, captured variables, defaults, and the notebook's functions that it calls, frozen in the same way. It goes
    on with them when the variables are bound to something else. A class that was defined in the notebook is frozen in
    place, as `firn.frozen` does.

    Raises NotFreezableError with the path of the first value that cannot be frozen, or MemoryError; then nothing has
    been frozen.
    """
    __tracebackhide__ = True
    if type(obj) in _CODE:
        return captured(obj)
    if _is_field(obj):
        return obj
    if issubclass(type(obj), type):
        return freeze_declaration(obj)
    if "IPython" not in sys.modules or _core.is_frozen(obj):
        return _core.freeze(obj)
    from firn.long_freezes import announced_at_prompt

    with announced_at_prompt(obj):
        frozen = _core.freeze(obj)
    if (stale := sys.modules.get("firn.stale")) is not None:
        stale.note()
    return frozen


def _is_field(obj: object) -> bool:
    shared = sys.modules.get("firn.shared")  # where it is not loaded, there are no fields
    return shared is not None and type(obj) in (shared.SharedField, shared.Local)


def is_frozen(obj: object, /) -> bool:
    """Whether `obj` is frozen (PEP 795): data is shared with other interpreters by reference, code is replicated in
    them and reads frozen values only. O(1)."""
    if issubclass(type(obj), type):
        return optouts.SEALED in vars(obj) or (not _is_own(obj) and _core.is_frozen(obj))  # type: ignore[arg-type]
    # The heap knows of any function in frozen data that it never changes there.
    if type(obj) is not types.FunctionType and (_core.is_frozen(obj) or _is_field(obj)):
        return True
    held = _frozen.get(id(obj))
    return held is not None and held() is obj


@contextmanager
def not_captured() -> Iterator[None]:
    """Within, functions in what this thread freezes are referred to as they are: `%%parallel` freezes data for a loop, and
    the notebook's functions stay what they are by that."""
    _as_they_are.add(get_ident())
    try:
        yield
    finally:
        _as_they_are.discard(get_ident())


def captured[T](code: T) -> T:
    """The frozen form of a function, method, partial ...: see `freeze`. Raises NotFreezableError.

    Freezing data calls it for each function in the data; what that function reads is frozen with the data's own
    capture then, if there is one, so that functions may refer to each other through the data.
    """
    if _stays(code) or get_ident() in _as_they_are:
        return code
    running = _active.get(get_ident())
    if running is not None and type(code) is types.FunctionType:
        return running.shell_of(code)  # type: ignore[arg-type, return-value]
    capture = _Capture({})
    capture.meet(code, getattr(code, "__qualname__", type(code).__name__))
    capture.settle()
    return capture.final(code)  # type: ignore[no-any-return]


def freeze_declaration[T](declaration: T) -> T:
    """What `firn.frozen` does."""
    if isinstance(declaration, type):
        if is_frozen(declaration) or not _is_own(declaration):
            return declaration
        _freeze_class(declaration)
        return declaration
    if type(declaration) not in _CODE or is_frozen(declaration):
        return freeze(declaration)
    # Its name may not be bound yet, or still to a former definition.
    capture = _Capture({getattr(declaration, "__name__", ""): declaration})
    capture.meet(declaration, getattr(declaration, "__qualname__", ""))
    capture.settle()
    return capture.final(declaration)  # type: ignore[no-any-return]


def _freeze_class(cls: type) -> None:
    capture = _Capture({cls.__name__: cls})
    held: dict[str, Any] = {}
    todo, classes = [cls], [cls]
    while todo:
        one = todo.pop()
        if vars(one).get(optouts.MARK) is False:
            _refuse(one, one.__qualname__, "it is @firn.unfreezable")
        enum = "_member_map_" in vars(one)
        for name, value in list(vars(one).items()):
            label = f"{one.__qualname__}.{name}"
            if isinstance(value, type) and value.__qualname__ == label and not is_frozen(value):
                todo.append(value)
                classes.append(value)
            elif type(value) in _CODE or (
                type(value) in _CONTAINERS and not enum and not (name.startswith("__") and name.endswith("__"))
            ):
                capture.meet(value, label)
                held[label] = (one, name, value)
            elif type(value) is functools.cached_property:
                capture.meet(value.func, label)
                held[label] = (value, "func", value.func)
    capture.settle()
    for owner, name, value in held.values():
        (type.__setattr__ if isinstance(owner, type) else setattr)(owner, name, capture.final(value))
    for one in classes:
        seal(one)


def seal(cls: type) -> None:
    """Makes a class's attributes read-only."""
    type.__setattr__(cls, optouts.SEALED, True)
    _core.seal_class(cls, True)


class _Capture:
    """Finds what some code reads, freezes it all, and makes the frozen code; one use, one thread."""

    def __init__(self, own: dict[str, Any]) -> None:
        self._own = own  # names of what is being defined
        self._met: dict[int, Any] = {}  # code, by id
        self._todo: list[Any] = []
        self._data: dict[int, tuple[str, Any]] = {}  # id -> label, value; not frozen yet
        self._made: dict[int, Any] = {}  # id of an original -> its frozen form
        self._kept: list[Any] = []  # originals, whose ids must stay theirs
        self._labels: set[str] = set()

    def meet(self, value: Any, label: str) -> None:
        """Notes something that the frozen code will hold."""
        if id(value) in self._met or id(value) in self._data or id(value) in self._made or _stays(value):
            return
        if type(value) in _CODE:
            self._met[id(value)] = value
            self._todo.append(value)
            return
        number, name = 2, label
        while name in self._labels:
            name, number = f"{label} ({number})", number + 1
        self._labels.add(name)
        self._data[id(value)] = name, value

    def settle(self) -> None:
        """Freezes the data, and what turns out to be read by functions in the data; then fills the functions in."""
        before = _active.get(get_ident())
        _active[get_ident()] = self
        try:
            while self._todo or self._data:
                while self._todo:
                    code = self._todo.pop()
                    for label, part in self._parts(code):
                        self.meet(part, label)
                if self._data:
                    data, self._data = self._data, {}
                    self._kept += [value for _, value in data.values()]
                    result = _core.freeze_roots({label: value for label, value in data.values()})
                    self._made |= {key: result.frozen[label] for key, (label, _) in data.items()}
        finally:
            if before is None:
                del _active[get_ident()]
            else:
                _active[get_ident()] = before
        for code in list(self._met.values()):
            made = self.final(code)
            if type(code) is types.FunctionType:
                self._fill(code, made)
            remember(made)

    def shell_of(self, function: types.FunctionType) -> types.FunctionType:
        """The frozen form of a function before it holds anything."""
        if id(function) not in self._met:
            self._met[id(function)] = function
            self._todo.append(function)
        made = self._made.get(id(function))
        if made is None:
            namespace = function.__globals__
            if not _is_of_module(function):
                namespace = {"__builtins__": builtins, "__name__": namespace.get("__name__", "__main__")}
            closure = function.__closure__ and tuple(self._cell(cell) for cell in function.__closure__)
            made = types.FunctionType(function.__code__, namespace, function.__name__, None, closure)
            self._made[id(function)] = made
        return made

    def final(self, value: Any) -> Any:
        """What the frozen code holds in the place of a value that it met."""
        if id(value) in self._made:
            return self._made[id(value)]
        if id(value) not in self._met:
            return value
        final = self.final
        made: Any
        match value:
            case types.FunctionType():
                return self.shell_of(value)
            case types.MethodType():
                made = types.MethodType(final(value.__func__), final(value.__self__))
            case types.BuiltinMethodType() | types.MethodWrapperType():
                made = getattr(final(value.__self__), value.__name__)
            case functools.partial():
                words = {name: final(word) for name, word in value.keywords.items()}
                made = functools.partial(final(value.func), *map(final, value.args), **words)
            case _ if type(value) is _CACHE:
                made = functools.lru_cache(**value.cache_parameters())(final(value.__wrapped__))
            case property():
                made = property(final(value.fget), final(value.fset), final(value.fdel), value.__doc__)
            case _:
                made = type(value)(final(value.__func__))
        self._made[id(value)] = made
        return made

    def _parts(self, code: Any) -> Iterator[tuple[str, Any]]:
        name = getattr(code, "__qualname__", type(code).__name__)
        if optouts.word_of(code) is False:
            _refuse(code, name, "it is @firn.unfreezable")
        match code:
            case types.FunctionType():
                yield from self._parts_of_function(code)
            case types.MethodType():
                yield name, code.__func__
                yield f"{name}.__self__", code.__self__
            case types.BuiltinMethodType() | types.MethodWrapperType():
                yield f"{name}.__self__", code.__self__
            case functools.partial():
                yield name, code.func
                yield from ((f"{name}.args[{index}]", value) for index, value in enumerate(code.args))
                yield from ((f"{name}.keywords[{word!r}]", value) for word, value in code.keywords.items())
            case property():
                yield from ((name, part) for part in (code.fget, code.fset, code.fdel))
            case _:
                yield name, code.__wrapped__

    def _parts_of_function(self, function: types.FunctionType) -> Iterator[tuple[str, Any]]:
        from firn import names

        _check_stores(function)
        name = function.__qualname__
        if not _is_of_module(function):
            for word in names.reads(function.__code__).lines:
                if word in self._own or word in function.__globals__:
                    yield word, self._global(function, word)
        for word, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if _is_filled(cell):
                yield f"{word} of {name}", cell.cell_contents
        yield from ((f"a default of {name}", value) for value in function.__defaults__ or ())
        yield from ((f"the default {word} of {name}", value) for word, value in (function.__kwdefaults__ or {}).items())
        yield from ((f"{name}.{word}", value) for word, value in function.__dict__.items())

    def _global(self, function: types.FunctionType, name: str) -> Any:
        own = self._own.get(name)
        if own is not None and function.__module__ == own.__module__:
            return own
        return function.__globals__[name]

    def _fill(self, function: types.FunctionType, made: types.FunctionType) -> None:
        from firn import names

        final = self.final
        if not _is_of_module(function):
            for word in names.reads(function.__code__).lines:
                if word in self._own or word in function.__globals__:
                    made.__globals__[word] = final(self._global(function, word))
            exact_types.follow(made.__globals__)
        for cell, new in zip(function.__closure__ or (), made.__closure__ or (), strict=True):
            if _is_filled(cell) and not _is_filled(new):
                new.cell_contents = final(cell.cell_contents)
        made.__defaults__ = function.__defaults__ and tuple(map(final, function.__defaults__))
        words = function.__kwdefaults__
        made.__kwdefaults__ = words and {word: final(value) for word, value in words.items()}
        made.__dict__.update({word: final(value) for word, value in function.__dict__.items()})
        made.__annotate__ = function.__annotate__
        made.__type_params__ = function.__type_params__
        made.__module__, made.__doc__ = function.__module__, function.__doc__
        made.__qualname__ = function.__qualname__

    def _cell(self, cell: types.CellType) -> types.CellType:
        """One for each of the original's cells: functions that share a variable go on sharing it."""
        made = self._made.get(id(cell))
        if made is None:
            self._kept.append(cell)
            made = self._made[id(cell)] = types.CellType()
        return made


def _stays(value: Any) -> bool:
    """Whether frozen code holds a value as it is: immutable atoms, modules, classes, imported functions."""
    kind = type(value)
    if kind in _AS_IT_IS or issubclass(kind, type) or is_frozen(value):
        return True
    if kind is int:
        return bool(value.bit_length() <= _SMALL * 8)
    if kind is str or kind is bytes:
        return len(value) <= _SMALL
    if kind in _OF_C:
        return isinstance(value.__self__, (types.ModuleType, type, types.NoneType))
    return kind is types.FunctionType and _is_imported(value)


def _is_imported(function: types.FunctionType) -> bool:
    """Whether every interpreter finds a function in a module; the notebook's own are found nowhere."""
    return _is_found(function.__module__, function)


def _is_of_module(function: types.FunctionType) -> bool:
    """Whether a function's globals are those of an imported module, which made it (decorators do)."""
    module = _imported(function.__globals__.get("__name__"))
    return module is not None and vars(module) is function.__globals__


def _is_own(cls: type) -> bool:
    from firn import rebuild

    return rebuild.is_mutable(cls) and not _is_found(cls.__module__, cls)


def _imported(name: str | None) -> types.ModuleType | None:
    """The module of that name which every interpreter can import; `__main__` is the notebook's own.

    Asked by its name in `sys.modules`: a shell that was reset leaves a `__main__` without a `__name__`.
    """
    return None if name is None or name == "__main__" else sys.modules.get(name)


def _is_found(module: str | None, definition: type | types.FunctionType) -> bool:
    """Whether an imported module holds a definition under its name."""
    try:
        path = definition.__qualname__.split(".")
        return functools.reduce(getattr, path, _imported(module)) is definition  # type: ignore[comparison-overlap]
    except AttributeError:
        return False


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _check_stores(function: types.FunctionType) -> None:
    """A frozen function cannot bind variables that outlive its calls."""
    from firn.bytecode import instructions

    todo = [(function.__code__, frozenset(function.__code__.co_freevars))]
    while todo:
        code, free = todo.pop()
        for _, op, argument in instructions(code):
            if op in _STORE_GLOBAL:
                _refuse_store(function, f"the global {code.co_names[argument]!r}")
            if op in _STORE_FREE:
                # Locals come first, then those cells that are not also arguments, then the free variables.
                cells = [name for name in code.co_cellvars if name not in code.co_varnames]
                name = [*code.co_varnames, *cells, *code.co_freevars][argument]
                if name in free:
                    _refuse_store(function, f"the captured variable {name!r}")
        for inner in code.co_consts:
            if isinstance(inner, types.CodeType) and inner.co_name != "__annotate__":
                todo.append((inner, frozenset(inner.co_freevars) & free))


def _refuse_store(function: types.FunctionType, what: str) -> NoReturn:
    _refuse(
        function,
        function.__qualname__,
        f"it assigns {what}, and frozen code captures what it reads for good. Return the value instead, or keep it in "
        "a firn.shared_field (for all interpreters) or firn.local (for each its own)",
    )


def _refuse(value: Any, path: str, why: str) -> NoReturn:
    kind = "class" if isinstance(value, type) else type(value).__name__
    error = _core.NotFreezableError(f"{path}: cannot freeze this {kind}, and nothing has been changed: {why}.")
    error.path, error.root, error.type_name = path, path.partition(".")[0], type(value).__qualname__
    raise error


def remember[T](code: T) -> T:
    """Notes that code is frozen."""
    if type(code) not in (property, staticmethod, classmethod):  # which are parts of frozen classes
        key = id(code)
        _frozen[key] = weakref.ref(code, lambda _: _frozen.pop(key, None))
    return code
