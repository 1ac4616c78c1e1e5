"""Lines of a log, each a JSON object: the time that failed requests took, by service and path."""

from __future__ import annotations

import json
import random

from bench.cells.workload import Names, Workload

CELL = """
result = {}
for line in lines:
    entry = json.loads(line)
    if entry["status"] >= 500:
        key = entry["service"], entry["request"]["path"]
        result[key] = result.get(key, 0) + entry["ms"]
"""


def data(generator: random.Random, size: float) -> Names:
    paths = [f"/api/v{number % 3}/resource/{number}" for number in range(400)]
    lines = [
        json.dumps(
            {
                "time": f"2026-01-01T{number % 24:02}:{number % 60:02}:{number % 59:02}Z",
                "service": f"service-{number % 12}",
                "status": generator.choice((200, 200, 200, 204, 301, 404, 500, 503)),
                "ms": generator.randint(1, 900),
                "request": {"path": generator.choice(paths), "method": "GET", "bytes": number * 31 % 5_000},
                "tags": ["prod", f"zone-{number % 5}"],
            }
        )
        for number in range(int(300_000 * size))
    ]
    return {"lines": lines}


def part(lines: list[str], start: int) -> dict[tuple[str, str], int]:
    result: dict[tuple[str, str], int] = {}
    for line in lines:
        entry = json.loads(line)
        if entry["status"] >= 500:
            key = entry["service"], entry["request"]["path"]
            result[key] = result.get(key, 0) + entry["ms"]
    return result


def merge(pieces: list[dict[tuple[str, str], int]]) -> dict[tuple[str, str], int]:
    result: dict[tuple[str, str], int] = {}
    for piece in pieces:
        for key, ms in piece.items():
            result[key] = result.get(key, 0) + ms
    return result


WORKLOAD = Workload("JSON logs", data, "lines", CELL, part, merge, imports="import json")
