"""Every row of the table of kernels (rows.toml) has a test; any kernel can be asked to pass most of them."""

import re
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
PARTS = tomllib.loads((HERE / "rows.toml").read_text()).values()
ROWS = [row for part in PARTS for row in part["rows"]]
OF_ALL = [row for part in PARTS if "of_firn" not in part for row in part["rows"]]


def test_every_row_has_a_test():
    sources = "".join(path.read_text() for path in HERE.glob("test_*.py"))
    shown = set(re.findall(r'mark\.row\("(.+)"\)', sources))
    for row in [row for row in shown if row.startswith("{interrupt}")]:
        shown |= {row.format(interrupt=way) for way in ("SIGINT", "interrupt_request")}
        shown.remove(row)
    assert len(set(ROWS)) == len(ROWS) > 80
    assert shown == set(ROWS)


def test_the_published_table_has_these_rows_and_firn_passes_all() -> None:
    text = (HERE.parents[1] / "docs" / "kernel.md").read_text()
    head, *lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"]
    assert [name.split()[0] for name in head[1:]] == ["firn", "ipykernel", "xpython"]
    rows = {line[0]: line[1:] for line in lines if any(line[1:]) and "---" not in line[0]}
    assert list(rows) == ROWS, "run `make compare-kernels ARGS=--publish`"
    assert {cells[0] for cells in rows.values()} == {"passes"}
    for row, (_, *others) in rows.items():
        if row in OF_ALL:
            assert all(re.fullmatch(r"passes|no test|\d+ fails?", cell) for cell in others)
        else:
            assert others == ["", ""], row
