"""Who may be frozen: the decorators and functions of PEP 795.

Everything may, unless somebody says otherwise. A class says it in `__firn_freezable__`, which subclasses inherit; an
object's own word (`set_freezable`) beats that of its class. What freezing does with either is C++ (heap/optouts.hpp).
"""

from __future__ import annotations

import weakref

from firn import _core

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any, Final

MARK: Final = "__firn_freezable__"

SEALED: Final = "__firn_frozen__"
"""In a class's own dictionary: `@frozen` has made it."""

_marked: dict[int, tuple[Any, bool]] = {}
"""id -> a weak reference to a marked object (or the object itself when it takes none), and what was said of it."""


def freezable[T](declaration: T) -> T:
    """Class or function decorator: it may be frozen, whatever a base class says (PEP 795).

    Without the decorator it may as well: firn freezes copies, so that nothing of the program's own stops working.
    """
    set_freezable(declaration, True)
    return declaration


def unfreezable[T](declaration: T) -> T:
    """Class or function decorator: it is never frozen (PEP 795).

    `firn.freeze` raises NotFreezableError where it meets the function, or an instance of the class or of a subclass
    that is not `@firn.freezable` again. `%%parallel` gives the workers copies of such objects.
    """
    set_freezable(declaration, False)
    return declaration


def frozen[T](declaration: T) -> T:
    """Class or function decorator: freezes what it has just defined (PEP 795).

    A function becomes its frozen form (see `firn.freeze`). A class stays the class that it is: its attributes can no
    longer be assigned, its methods and those of the classes defined in it are frozen, and so are the lists, dicts and
    sets among its attributes. Its instances are as mutable as ever. Under other decorators, such as
    `@dataclasses.dataclass`, `@firn.frozen` has to be the first of them, for they assign to the class.
    Raises NotFreezableError, and then nothing has changed.
    """
    from firn import functions

    return functions.freeze_declaration(declaration)


def set_freezable(obj: object, freezable: bool) -> None:
    """Says whether an object, or every instance of a class, may be frozen (PEP 795).

    Of a class it holds for subclasses that say nothing else. An object that takes no weak references (a list, a dict)
    is kept alive by this. Raises TypeError for what is frozen already, and for builtin classes.
    """
    if isinstance(obj, type):
        try:
            type.__setattr__(obj, MARK, bool(freezable))
        except TypeError as error:
            raise TypeError(
                f"set_freezable: the class {obj.__qualname__} cannot be changed, so that nothing can be said of all of "
                f"its instances; derive a class from it, or say it of single objects"
            ) from error
        return
    if _core.is_frozen(obj):
        raise TypeError(f"set_freezable: this {type(obj).__name__} is frozen already")
    key, word = id(obj), bool(freezable)
    try:
        _marked[key] = weakref.ref(obj, lambda _: _forget(key)), word
    except TypeError:
        _marked[key] = obj, word
    _core.mark_freezable(key, word)


def word_of(obj: object) -> bool | None:
    """What was said of a single object, a function for example; None when nobody has said anything."""
    return _marked[id(obj)][1] if id(obj) in _marked else None


def _forget(key: int) -> None:
    del _marked[key]
    _core.mark_freezable(key, None)
