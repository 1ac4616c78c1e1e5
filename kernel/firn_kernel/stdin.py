"""input() and getpass() through the front end (messaging protocol, "Messages on the stdin channel")."""

import builtins
import getpass
import threading
from contextvars import ContextVar

from . import _kernel, messages

# Reentrant, for only then does release() know whether the thread has it.
_one_question = threading.RLock()

# Whether the front end of the cell answers questions; threads that a cell has started ask without one.
allowed: ContextVar[bool] = ContextVar("firn_kernel_stdin", default=True)


def install() -> None:
    """Puts the front end's answers behind input() and getpass()."""
    builtins.input = _input
    getpass.getpass = _getpass


def _input(prompt: object = "", /) -> str:
    """Asks the person at the front end for a line of text."""
    return _ask(str(prompt), password=False)


def _getpass(prompt: str = "Password: ", stream: object = None, **ignored: object) -> str:
    """Asks the person at the front end for a password, which is not shown."""
    return _ask(str(prompt), password=True)


def _ask(prompt: str, *, password: bool) -> str:
    request = messages.parent()
    if not allowed.get() or request is None:
        from IPython.core.error import StdinNotImplementedError

        raise StdinNotImplementedError(
            "input() was called, but this front end does not support input requests (nbconvert and nbclient do not)."
        )
    try:
        while not _one_question.acquire(timeout=0.05):
            pass  # another thread asks; signals get through
        _kernel.flush()
        _kernel.ask_input(request, messages.encode({"prompt": prompt, "password": password}))
        while True:
            answer: str | None = _kernel.take_input()
            if answer is not None:
                if answer == "\x04":
                    raise EOFError
                return answer
    finally:
        # An interrupt may come as the lock is taken, and leave it taken: no input() would ever ask again.
        try:
            _one_question.release()
        except RuntimeError:
            pass  # it came before that
