"""python -m bench kernel, in small: every row is measured for every kernel. What the figures are is no matter here."""

from __future__ import annotations

import math

import pytest

from bench.kernel import figures

ROWS = (
    "start to ready",
    "start to the first cell's result",
    "memory after the start, private",
    "threads after the first cell",
    "round trip of `1`, median",
    "round trip of a completion, 99th percentile",
    "1,000 prints",
    "5 MB of output",
    "50 display updates",
    "50 comm messages, echoed",
)


@pytest.mark.long
@pytest.mark.unsanitized
def test_every_row_is_measured() -> None:
    taken = list(figures(rounds=1, size=20))
    names = [figure.name for figure in taken]
    peers = {figure.alternative.partition(" ")[0] for figure in taken}
    assert "ipykernel" in peers and peers <= {"ipykernel", "xpython"}
    assert all(names.count(name) == len(peers) for name in names)
    assert set(ROWS) <= set(names)
    assert all(math.isfinite(figure.ours) and figure.ours > 0 for figure in taken)
