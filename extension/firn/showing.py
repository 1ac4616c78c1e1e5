"""`display()` in a worker: what is shown travels in order with what is printed, and the notebook displays it.

In a worker, `display`, `clear_output` and `publish_display_data` send a message each; the notebook's own `publish`
does what they ask, with its formatters, so that what appears is what the serial cell shows. Imported by every worker at
its start, therefore without IPython.
"""

from __future__ import annotations

import binascii
import os
import pickle
import sys

from firn import _core, rebuild, results, streams
from firn.teach import add_lesson

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any

STREAM = 3
_KINDS = "html", "markdown", "svg", "png", "jpeg", "pdf", "latex", "json", "javascript", "mimebundle"
_RICH = ("_ipython_display_", *(f"_repr_{kind}_" for kind in _KINDS))


def display(*objects: Any, display_id: Any = None, **options: Any) -> Any:
    """IPython's display, in a worker. What pickles travels as it is now and is formatted by the notebook; of anything
    else the worker makes the formats. Returns IPython's handle when a display_id is asked for."""
    if display_id is True:
        display_id = os.urandom(16).hex()
    if display_id is not None:
        options["display_id"] = display_id
    try:
        send("display", results.dump((objects, options)))
    except rebuild.Stopped:
        raise
    except Exception:
        for value in objects:
            _send_formats(value, options)
    if display_id is None:
        return None
    from IPython.display import DisplayHandle

    return DisplayHandle(display_id)  # type: ignore[no-untyped-call]


def _send_formats(value: Any, options: dict[str, Any]) -> None:
    from IPython.core.formatters import DisplayFormatter

    wanted = {name: options[name] for name in ("include", "exclude") if name in options}
    data, metadata = DisplayFormatter().format(value, **wanted)  # type: ignore[no-untyped-call]
    if data:
        transient = {"transient": {"display_id": options["display_id"]}} if "display_id" in options else {}
        update = {"update": True} if options.get("update") else {}
        publish_display_data(data, {**metadata, **(options.get("metadata") or {})}, **transient, **update)


def publish_display_data(data: Any, metadata: Any = None, **options: Any) -> None:
    """IPython's publish_display_data, in a worker."""
    send("data", results.dump((data, metadata, options)))


def clear_output(wait: bool = False) -> None:
    """IPython's clear_output, in a worker."""
    send("clear", pickle.dumps(wait))


def show(value: Any) -> None:
    """A cell's last expression: richly displayed where it can be, else as its repr."""
    if value is None:
        return
    if any(hasattr(type(value), name) for name in _RICH):
        display(value)
    else:
        streams.end_line()
        print(repr(value))


def send(kind: str, raw: bytes) -> None:
    """In a worker: a message to the notebook, in order with what is printed."""
    streams.flush()
    _core.worker_write(STREAM, f"{kind} {binascii.b2a_base64(raw, newline=False).decode()}\n")


def clears(text: str) -> bool:
    """Whether a piece of the stream empties the output that came before."""
    return text.startswith("clear ") or "\nclear " in text


def publish(text: str) -> None:
    """In the notebook: does what messages of workers ask for. A display that fails says so and ends nothing."""
    from firn import errors, logged, warned

    for line in text.splitlines():
        kind, _, encoded = line.partition(" ")
        raw = binascii.a2b_base64(encoded)
        if kind == "warning":
            warned.show(*pickle.loads(raw))
            continue
        if kind == "log":
            logged.show(raw)
            continue
        try:
            _publish(kind, pickle.loads(raw))
        except Exception as error:
            print(errors.cannot_display(error), file=sys.stderr)


def _publish(kind: str, asked: Any) -> None:
    if "IPython" not in sys.modules:
        if kind == "display":
            print(*asked[0])
        return
    from IPython.core import display_functions

    match kind:
        case "display":
            objects, options = asked
            display_functions.display(*objects, **options)  # type: ignore[no-untyped-call]
        case "data":
            data, metadata, options = asked
            display_functions.publish_display_data(data, metadata, **options)  # type: ignore[no-untyped-call]
        case "clear":
            display_functions.clear_output(asked)  # type: ignore[no-untyped-call]


def _teach_functions(module: Any) -> None:
    module.display, module.clear_output, module.publish_display_data = display, clear_output, publish_display_data


def _quiet_monitor(tqdm: Any) -> None:
    tqdm.tqdm.monitor_interval = 0  # its thread is a daemon, which workers have none of


def install() -> None:
    """Once per worker."""
    import builtins

    builtins.display = display  # type: ignore[attr-defined]  # as IPython has it
    add_lesson("IPython.core.display_functions", _teach_functions)
    add_lesson("tqdm.std", _quiet_monitor)
