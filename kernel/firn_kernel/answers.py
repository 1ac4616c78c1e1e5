"""Answers to the requests that do not run a cell (messaging protocol, "Messages on the shell channel")."""

import gc
from contextlib import nullcontext
from typing import Any

from . import _kernel, comms
from .inference import KeptInference
from .runner import CellRunner, runner_here
from .shell import ZMQInteractiveShell


class Answers:
    """One method a request type: takes the request's content, gives the reply's. Called with the request current."""

    def __init__(self, shell: ZMQInteractiveShell, inference: KeptInference, main: CellRunner) -> None:
        self._shell, self._inference, self._main = shell, inference, main

    def answer(self, request: _kernel.Request, content: dict[str, Any]) -> dict[str, Any]:
        return getattr(self, request.type)(content)

    def complete_request(self, content: dict[str, Any]) -> dict[str, Any]:
        from IPython.core.completer import provisionalcompleter, rectify_completions

        code, cursor = _code_and_cursor(content)
        with provisionalcompleter(), self._knowing(code, cursor):
            found = list(rectify_completions(code, self._shell.Completer.completions(code, cursor)))
            if not any(c._origin == "jedi" for c in found) or any(c.type is None for c in found):
                self._inference.forget()  # IPython has caught an exception of jedi's, perhaps
        types = [
            {"start": c.start, "end": c.end, "text": c.text, "type": c.type, "signature": c.signature} for c in found
        ]
        return {
            "status": "ok",
            "matches": [c.text for c in found],
            "cursor_start": found[0].start if found else cursor,
            "cursor_end": found[0].end if found else cursor,
            "metadata": {"_jupyter_types_experimental": types},
        }

    def _knowing(self, code: str, cursor: int) -> Any:
        """With what jedi knows from the completion before, where that still holds. An import names files and folders, which
        others change."""
        line = code[code.rfind("\n", 0, cursor) + 1 : cursor]
        if (
            not self._shell.Completer.use_jedi
            or "import" in line
            or runner_here() is not self._main
            or not self._alone()
        ):
            self._inference.forget()
            return nullcontext()
        return self._inference.used(self._main.loop)

    def _alone(self) -> bool:
        history = getattr(self._shell.history_manager, "save_thread", None)
        return self._main.alone((self._inference, gc), {history})

    def inspect_request(self, content: dict[str, Any]) -> dict[str, Any]:
        from IPython.utils.tokenutil import token_at_cursor

        code, cursor = _code_and_cursor(content)
        try:
            data = self._shell.object_inspect_mime(
                token_at_cursor(code, cursor),
                detail_level=content.get("detail_level", 0),
                omit_sections=() if self._shell.enable_html_pager else ("text/html",),
            )
        except KeyError:
            return {"status": "ok", "found": False, "data": {}, "metadata": {}}
        if not self._shell.enable_html_pager:
            data.pop("text/html", None)
        return {"status": "ok", "found": True, "data": data, "metadata": {}}

    def is_complete_request(self, content: dict[str, Any]) -> dict[str, Any]:
        status, indent = self._shell.input_transformer_manager.check_complete(content["code"])
        if status == "incomplete":
            return {"status": status, "indent": " " * (indent or 0)}
        return {"status": status}

    def history_request(self, content: dict[str, Any]) -> dict[str, Any]:
        manager = self._shell.history_manager
        raw, output = content["raw"], content["output"]
        match content["hist_access_type"]:
            case "tail":
                entries = manager.get_tail(content["n"], raw=raw, output=output, include_latest=True)
            case "range":
                entries = manager.get_range(
                    content["session"], content["start"], content["stop"], raw=raw, output=output
                )
            case _:
                entries = manager.search(
                    content["pattern"], raw=raw, output=output, n=content["n"] or None, unique=content["unique"]
                )
        # IPython numbers the running session 0 where it reads it from memory.
        history = [(session or manager.session_number, line, source) for session, line, source in entries]
        return {"status": "ok", "history": history}

    def comm_info_request(self, content: dict[str, Any]) -> dict[str, Any]:
        return comms.info(content.get("target_name"))


def _code_and_cursor(content: dict[str, Any]) -> tuple[str, int]:
    code: str = content["code"]
    cursor: int = content["cursor_pos"]
    return code, min(cursor, len(code)) if cursor >= 0 else len(code)
