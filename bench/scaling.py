"""The quickstart's search of the archive, on one worker and on two."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bench import data
from bench.harness import Figure, pair
from bench.notebook import Notebook

SCAN = """%%parallel --quiet --workers {workers}
hits = [p["Package"] for p in packages if any(sky.search(field) for field in p.values())]
"""


def figures() -> Iterator[Figure]:
    sky = re.compile(r"\b(solar|planet|comet|telescope|satellite)\w*", re.IGNORECASE)
    notebook = Notebook({"packages": data.archive(), "sky": sky})
    notebook.run(SCAN.partition("\n")[2])
    found = notebook.names["hits"]
    notebook.run(SCAN.format(workers=2))  # freezes, and warms the workers
    assert notebook.names["hits"] == found, "the parallel scan found something else"
    two, one = pair(lambda: notebook.run(SCAN.format(workers=2)), lambda: notebook.run(SCAN.format(workers=1)))
    yield Figure("scan the archive on 2 workers", two, one, "s", "1 worker", target="at least 1.9")
    two, serial = pair(lambda: notebook.run(SCAN.format(workers=2)), lambda: notebook.run(SCAN.partition("\n")[2]))
    yield Figure("scan the archive in a parallel cell", two, serial, "s", "the plain cell, serial")
