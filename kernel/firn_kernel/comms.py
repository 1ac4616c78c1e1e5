"""Comms, on the `comm` package that widget libraries use."""

import json
from collections.abc import Sequence
from typing import Any

import comm
from comm.base_comm import BaseComm, CommManager

from . import _kernel, messages


class Comm(BaseComm):
    """A comm whose messages are published by the kernel."""

    def publish_msg(
        self,
        msg_type: str,
        data: Any = None,
        metadata: Any = None,
        buffers: Sequence[Any] | None = None,
        **keys: Any,
    ) -> None:
        content = {"data": {} if data is None else data, "comm_id": self.comm_id, **keys}
        messages.publish(msg_type, content, metadata, buffers or ())


manager = CommManager()


def install() -> None:
    comm.create_comm = Comm
    comm.get_comm_manager = lambda: manager


def receive(request: _kernel.Request, content: str, buffers: list[bytes]) -> None:
    """Hands a comm message to its handler. The caller has made the request the current one."""
    message = {
        "header": json.loads(request.header),
        "msg_id": request.id,
        "msg_type": request.type,
        "parent_header": {},
        "metadata": json.loads(request.metadata),
        "content": json.loads(content),
        "buffers": [memoryview(buffer) for buffer in buffers],
    }
    getattr(manager, request.type)(None, None, message)


def info(target_name: str | None) -> dict[str, Any]:
    """The content of a comm_info_reply."""
    comms = {
        comm_id: {"target_name": open_comm.target_name}
        for comm_id, open_comm in manager.comms.items()
        if not target_name or open_comm.target_name == target_name
    }
    return {"status": "ok", "comms": comms}
