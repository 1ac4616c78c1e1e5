"""Messages that no front end sends: well-formed ones of every kind, damaged in their JSON, their bytes and their frames.

Seeded: the same seed makes the same messages (but for their ids and dates).
"""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass
from typing import Any

from jupyter_client.session import Session

DELIMITER = b"<IDS|MSG>"
FORGED = "acted_upon = True"  # what messages without a valid signature ask for

HARMLESS = [
    "1",
    "fuzzed = 1",
    "'text'",
    "1/0",
    "print('x')",
    "for i in range(3): pass",
    "a b",
    "%who",
    "?print",
    "None",
]
DEBUG = {"type": "request", "seq": 1, "command": "debugInfo", "arguments": {}}
SHELL: list[tuple[str, dict[str, Any]]] = [
    ("execute_request", {"code": "1", "silent": False, "user_expressions": {"x": "1+1"}, "stop_on_error": False}),
    ("execute_request", {"code": "1", "silent": True, "store_history": False, "allow_stdin": False}),
    ("complete_request", {"code": "fuz", "cursor_pos": 3}),
    ("inspect_request", {"code": "print", "cursor_pos": 5, "detail_level": 0}),
    ("history_request", {"hist_access_type": "tail", "n": 3, "raw": True, "output": False}),
    (
        "history_request",
        {"hist_access_type": "range", "session": 0, "start": 0, "stop": 3, "raw": True, "output": True},
    ),
    ("history_request", {"hist_access_type": "search", "pattern": "fuz*", "n": 2, "unique": True, "raw": True}),
    ("is_complete_request", {"code": "if x:"}),
    ("kernel_info_request", {}),
    ("comm_info_request", {"target_name": "jupyter.widget"}),
    ("comm_open", {"comm_id": "c", "target_name": "jupyter.widget", "data": {"state": {}}}),
    ("comm_msg", {"comm_id": "c", "data": {"method": "update", "state": {"value": 3}}}),
    ("comm_close", {"comm_id": "c", "data": {}}),
    ("interrupt_request", {}),
    ("no_such_request", {"code": "1"}),
    ("no_such_message", {}),
]
CONTROL: list[tuple[str, dict[str, Any]]] = [
    ("kernel_info_request", {}),
    ("usage_request", {}),
    ("interrupt_request", {}),
    ("list_subshell_request", {}),
    ("delete_subshell_request", {"subshell_id": "none"}),
    ("debug_request", DEBUG),
    ("debug_request", DEBUG | {"command": "dumpCell", "arguments": {"code": "x = 1"}}),
    ("debug_request", DEBUG | {"command": "inspectVariables"}),
    ("execute_request", {"code": "1"}),
    ("no_such_request", {}),
]
STDIN: list[tuple[str, dict[str, Any]]] = [("input_reply", {"value": "typed", "status": "ok"})]
GENUINE = {"shell": SHELL, "control": CONTROL, "stdin": STDIN}
FORGERIES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "shell": [
        ("execute_request", {"code": FORGED, "silent": False, "user_expressions": {}}),
        ("execute_request", {"code": "1", "silent": True, "user_expressions": {"x": "globals().update(acted_upon=1)"}}),
        ("shutdown_request", {"restart": False}),
    ],
    "control": [
        ("shutdown_request", {"restart": False}),
        ("create_subshell_request", {}),
        ("execute_request", {"code": FORGED}),
        ("debug_request", DEBUG | {"command": "evaluate", "arguments": {"expression": FORGED, "context": "repl"}}),
    ],
    "stdin": [("input_reply", {"value": "forged"})],
}

FIELDS = ["code", "silent", "n", "status", "subshell_id", "comm_id", "data", "user_expressions", "firn", "metadata"]
FIELDS += ["msg_type", "msg_id", "session", "username", "version", "date", "cellId", "restart", "command", "value", "x"]
# JSON that every parser takes: a request with these is a request still, and must be answered.
FITTING: list[Any] = [None, True, False, 0, -1, 7, 2**31, 2**32, 2**63 - 1, 2**64 - 1, -(2**63), 1.5, -0.0, 1e300]
FITTING += [
    "",
    "x",
    "ok",
    "error",
    "x" * 2000,
    "\ud800",
    "a\udc00b",
    "\x00",
    "é𝄞",
    [],
    {},
    [1, [2, {}]],
    {"a": {"b": []}},
]
FITTING += [{"status": 5, "ename": []}, [None] * 100]
# JSON that parsers differ on: it may be refused. A marker stands for what Python's own encoder cannot write.
UNFITTING: list[Any] = [
    float("nan"),
    float("inf"),
    10**400,
    "@1e999@",
    "@[100@",
    "@[1000@",
    "@[100000@",
    "@{500@",
    "@{50000@",
]
TEXTS = [b"", b"null", b"[]", b"5", b'"text"', b"{}", b"{", b"\xff\xfe", b"\xef\xbb\xbf{}", b"\x00", b"[" * 100_000]
TEXTS += [b'{"a":' * 30_000, b'{"a":1e999}', b'{"a":NaN}', b'{"a":1,"a":2}', b'{"\xff":1}', b" {} ", b"{}x"]


@dataclass
class Message:
    frames: list[bytes]
    id: str
    is_answered: bool  # must be; another may be
    is_valid: bool  # its signature fits what was signed


class Mutations:
    """Makes messages for one of the channels shell, control and stdin. session: one that signs as the kernel expects."""

    def __init__(self, channel: str, session: Session, seed: int) -> None:
        self.channel, self.session = channel, session
        self.random = random.Random(f"{channel} {seed}")
        self._seen: list[bytes] = []

    def signed(self) -> Message:
        """With a valid signature, damaged before it was signed; now and then in its frames afterwards."""
        kind, content = self.random.choice(GENUINE[self.channel])
        parts = self._parts(kind, content)
        identity = parts[0]["msg_id"]
        fits = True
        for _ in range(self.random.choice([0, 1, 1, 1, 2, 3])):
            fits &= self._damage_json(parts)
        texts = [self._text(part) for part in parts]
        while self.random.random() < 0.2:
            fits = False
            self._damage_text(texts)
        frames = [DELIMITER, self.session.sign(texts), *texts]
        if self.random.random() < 0.2:
            fits = False
            self._damage_frames(frames)
        elif self.random.random() < 0.2:
            frames = [*self._identities(), *frames, *self._buffers()]
        return Message(frames, identity, fits and kind.endswith("_request"), True)

    def unsigned(self) -> Message:
        """What must not be acted upon: a wrong signature, or none, or one of other parts."""
        while True:
            kind, content = self.random.choice(FORGERIES[self.channel])
            parts = self._parts(kind, content)
            texts = [self._text(part) for part in parts]
            genuine = self.session.sign(self.random.choice([texts, texts[:3], [*texts, b""], texts[::-1], [b"{}"] * 4]))
            wrong = [b"", b"0" * 64, genuine[:-1], genuine + b"0", genuine.upper(), genuine[::-1], genuine, b"\0" * 64]
            frames = [DELIMITER, self.random.choice(wrong), *texts, *self._buffers()]
            for _ in range(self.random.choice([0, 0, 1, 2, 3])):
                self._damage_frames(frames)
            if self.random.random() < 0.3:
                frames = [*self._identities(), *frames]
            if not self._is_signed(frames):
                return Message(frames, parts[0]["msg_id"], False, False)

    # Parts

    def _parts(self, kind: str, content: dict[str, Any]) -> list[dict[str, Any]]:
        header = self.session.msg_header(kind)
        header["date"] = header["date"].isoformat()
        if kind == "execute_request" and content["code"] == "1":
            content = content | {"code": self.random.choice(HARMLESS)}
        return [json.loads(json.dumps(part)) for part in (header, {}, {}, content)]

    def _identities(self) -> list[bytes]:
        choices = [b"", b"\x00" * 5, b"x" * 300, self.random.randbytes(20), b"\xff", b"{}"]
        return self.random.choices(choices, k=self.random.randint(1, 4))

    def _buffers(self) -> list[bytes]:
        return [self.random.randbytes(self.random.choice([0, 1, 100])) for _ in range(self.random.choice([0, 0, 1, 5]))]

    @staticmethod
    def _text(part: Any) -> bytes:
        text = json.dumps(part)
        if "@" in text:
            text = text.replace('"@1e999@"', "1e999")
            for size in (100, 1000, 100_000):
                text = text.replace(f'"@[{size}@"', "[" * size + "]" * size)
            for size in (500, 50_000):
                text = text.replace(f'"@{{{size}@"', '{"a":' * size + "1" + "}" * size)
        return text.encode()

    def _is_signed(self, frames: list[bytes]) -> bool:
        at = frames.index(DELIMITER) if DELIMITER in frames else len(frames)
        return len(frames) >= at + 6 and frames[at + 1] == self.session.sign(frames[at + 2 : at + 6])

    # Damage

    def _damage_json(self, parts: list[Any]) -> bool:
        """Changes a value anywhere; whether what came is still a request that must be answered."""
        which = self.random.choice([0, 1, 2, 3, 3, 3, 3])
        fits = self.random.random() < 0.8
        value = copy.deepcopy(self.random.choice(FITTING if fits else UNFITTING))
        at = parts[which]
        while True:
            inner = [key for key in at if isinstance(at[key], dict) and at[key]]
            if not inner or self.random.random() < 0.6:
                break
            at = at[self.random.choice(inner)]
        key = self.random.choice([*at, *at, *at, *self.random.sample(FIELDS, 2)])
        if self.random.random() < 0.15:
            at.pop(key, None)
        else:
            at[key] = value
        # An id, a type or a subshell of another kind is another request, or none.
        return fits and which != 0

    def _damage_text(self, texts: list[bytes]) -> None:
        which = self.random.randrange(4)
        text = bytearray(texts[which])
        choice = self.random.randrange(5)
        if choice == 0:
            text[:] = self.random.choice(TEXTS)
        for _ in range(self.random.randint(1, 4) if choice else 0):
            at = self.random.randrange(len(text) + 1)
            if choice == 1 and at < len(text):
                text[at] ^= 1 << self.random.randrange(8)
            elif choice == 2:
                text[at:at] = self.random.randbytes(self.random.randint(1, 4))
            elif choice == 3:
                del text[at : at + self.random.randint(1, 10)]
            elif choice == 4:
                text[at:at] = text[: self.random.randint(0, 50)]
        # No damage may make a request of one kind into one that ends the kernel.
        texts[which] = bytes(text).replace(b"shutdown", b"shut")

    def _damage_frames(self, frames: list[bytes]) -> None:
        at = self.random.randrange(len(frames)) if frames else 0
        other = self.random.randrange(len(frames)) if frames else 0
        choice = self.random.randrange(7)
        if choice == 0 and frames:
            del frames[at]
        elif choice == 1 and frames:
            frames.insert(at, frames[other])
        elif choice == 2 and frames:
            frames[at], frames[other] = frames[other], frames[at]
        elif choice == 3:
            frames.insert(at, self.random.choice([b"", DELIMITER, b"\x00", self.random.randbytes(30)]))
        elif choice == 4:
            del frames[at:]
        elif choice == 5 and frames and frames[at]:
            damaged = bytearray(frames[at])
            damaged[self.random.randrange(len(damaged))] ^= 1 << self.random.randrange(8)
            frames[at] = bytes(damaged)
        else:
            frames.extend(self.random.choices(frames or [b""], k=3))
