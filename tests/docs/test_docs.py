"""What the documentation names exists: tests that pass collection, kinds of frozen values, files, links."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from firn.units import FREEZABLE

PROJECT = Path(__file__).resolve().parents[2]
FREEZING = PROJECT / "docs" / "freezing.md"
INTERNALS = PROJECT / "docs" / "internals.md"
TEST = re.compile(r"`(tests/[\w/]+\.py::\w+)`")


def rows() -> list[list[str]]:
    """The cells of the table's rows."""
    lines = [line for line in FREEZING.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def hazards() -> dict[int, str]:
    """The numbered paragraphs under "Hazards"."""
    text = INTERNALS.read_text().partition("\n## Hazards\n")[2].partition("\n## ")[0]
    found = re.split(r"\n(?=\d+\. )", text)[1:]
    return {int(paragraph.partition(".")[0]): paragraph for paragraph in found}


def test_every_test_that_the_documents_name_is_collected() -> None:
    named = sorted({name for document in (FREEZING, INTERNALS) for name in TEST.findall(document.read_text())})
    assert named
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *named],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    collected = {line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line}
    assert done.returncode == 0 and set(named) <= collected, done.stdout + done.stderr


def test_every_row_of_the_table_has_a_test() -> None:
    table = rows()
    assert len(table) > 20
    for row in table:
        assert len(row) == 6 and all(row), row
        assert TEST.search(row[-1]), row


def test_every_kind_of_frozen_value_has_a_row() -> None:
    header = (PROJECT / "extension" / "heap" / "types.hpp").read_text()
    body = re.search(r"enum class FaceKind[^{]*\{(.*?)\};", header, re.DOTALL)
    assert body is not None
    kinds = set(re.findall(r"^\s*(\w+)\s*[,=]", re.sub(r"//.*", "", body[1]), re.MULTILINE))
    assert {"list", "record", "twin", "buffer"} <= kinds
    assert kinds == {kind for row in rows() for kind in re.findall(r"`(\w+)`", row[1])}


@pytest.mark.parametrize("kind", sorted(FREEZABLE, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_every_builtin_type_that_freezes_has_a_row(kind: type) -> None:
    assert any(f"`{kind.__name__}`" in row[0] for row in rows())


def test_every_hazard_names_the_test_that_guards_it() -> None:
    found = hazards()
    assert list(found) == list(range(1, len(found) + 1)) and len(found) >= 14
    for number, paragraph in found.items():
        assert TEST.search(paragraph), f"hazard {number}: {paragraph}"


def test_every_hazard_says_what_would_end_the_way_around_it() -> None:
    for number, paragraph in hazards().items():
        words = " ".join(paragraph.split())
        end = re.search(r"`\. (Goes with: .{10,}|Stays)\.", words)
        assert end, f"hazard {number} says neither 'Goes with: ...' nor 'Stays' behind its guard: {words}"


def test_every_hazard_that_the_code_refers_to_is_listed() -> None:
    found = hazards()
    sources = [path for folder in ("common", "extension", "kernel") for path in (PROJECT / folder).rglob("*.[ch]pp")]
    for source in sources:
        for number in re.findall(r"\(?hazards? (\d+)", source.read_text()):
            assert int(number) in found, f"{source}: hazard {number}"


@pytest.mark.parametrize("document", ["README.md", "docs/freezing.md", "docs/internals.md", "docs/kernel.md"])
def test_files_that_a_document_names_exist(document: str) -> None:
    path = PROJECT / document
    text = path.read_text()
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / link).exists(), f"{document} links to {link}"
    for name in re.findall(r"`((?:common|extension|kernel|tests|tools|bench|docs|notebooks)/[\w./]+)`", text):
        assert (PROJECT / name).exists() or list(PROJECT.glob(name + "*")), f"{document} names {name}"


def test_the_executors_examples_run(tmp_path: Path) -> None:
    section = (PROJECT / "README.md").read_text().partition("\n## Executor\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 2
    script = tmp_path / "example.py"
    script.write_text("\n".join(blocks))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    counts = [2 * (n % 50) for n in range(20_000)]
    parts = [sum(counts[start : start + 1000]) for start in range(0, 4000, 1000)]
    assert done.stdout.splitlines() == [str(sum(counts)), str(parts)], done.stderr
