"""A regular expression over all fields of an archive's records, rows of a dict each."""

from __future__ import annotations

import random
import re
from typing import Any

from bench.cells.work.texts import texts, vocabulary
from bench.cells.workload import Names, Workload

CELL = """
result = [row["Package"] for row in packages if any(sky.search(field) for field in row.values())]
"""


def data(generator: random.Random, size: float) -> Names:
    words = vocabulary(generator, 5_000)
    words[20:20] = ["planets", "solar", "Comet", "telescope"]
    count = int(80_000 * size)
    names = vocabulary(generator, count)
    packages = [
        {
            "Package": name,
            "Version": f"{number % 9}.{number % 31}-{number % 4 + 1}",
            "Section": words[number % 40],
            "Installed-Size": str(number * 37 % 90_000),
            "Maintainer": f"{words[number % 977].title()} <{words[number % 977]}@example.org>",
            "Depends": ", ".join(generator.choices(names, k=generator.randint(1, 8))),
            "Homepage": f"https://{name}.example.org/",
            "Description": description,
        }
        for number, (name, description) in enumerate(zip(names, texts(generator, words, count, 24), strict=True))
    ]
    return {"packages": packages, "sky": re.compile(r"\b(solar|planet|comet|telescope|satellite)\w*", re.IGNORECASE)}


def part(packages: list[dict[str, str]], start: int, *, sky: Any) -> list[str]:
    return [row["Package"] for row in packages if any(sky.search(field) for field in row.values())]


WORKLOAD = Workload("archive search", data, "packages", CELL, part)
