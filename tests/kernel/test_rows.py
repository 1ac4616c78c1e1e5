"""Every row of the table of kernels (rows.toml) has a test that any kernel can be asked to pass."""

import re
import tomllib
from pathlib import Path

HERE = Path(__file__).parent


def test_every_row_has_a_test():
    sources = "".join(path.read_text() for path in HERE.glob("test_*.py"))
    shown = set(re.findall(r'mark\.row\("(.+)"\)', sources))
    for row in [row for row in shown if row.startswith("{interrupt}")]:
        shown |= {row.format(interrupt=way) for way in ("SIGINT", "interrupt_request")}
        shown.remove(row)
    rows = [row for part in tomllib.loads((HERE / "rows.toml").read_text()).values() for row in part["rows"]]
    assert len(set(rows)) == len(rows) > 40
    assert shown == set(rows)
