"""The C++ tests of the kernel's parts (tests/kernel/cpp), each in a process of its own: they capture the descriptors and
run out of memory."""

import os
import re
import subprocess
from pathlib import Path

import firn_kernel
import pytest

HERE = Path(__file__).parent / "cpp"
CASES = [
    name for file in sorted(HERE.glob("*.cpp")) for name in re.findall(r'^TEST_CASE\("(.*)"\)', file.read_text(), re.M)
]
PATIENCE = 240  # seconds, for all of a test's waits together


@pytest.fixture(scope="session")
def program() -> Path:
    """The tests' program, of the objects that the tested module was linked from."""
    build = Path(firn_kernel.__file__).parents[2] / "cmake"
    # The sanitizers of a sanitized run are not for the compiler.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    command = ["cmake", "--build", str(build), "--target", "kernel_tests"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return build / "kernel" / "cpp_tests" / "kernel_tests"


def test_every_case_is_run_from_here(program: Path) -> None:
    listed = subprocess.run([program, "--list-test-cases", "--no-intro"], capture_output=True, text=True).stdout
    assert sorted(line for line in listed.splitlines() if ": " in line and "[doctest]" not in line) == sorted(CASES)
    assert not [name for name in CASES if "," in name or "*" in name]  # doctest would take it for several names


@pytest.mark.row("each class of its C++ by itself")
@pytest.mark.parametrize("name", CASES)
def test_case(program: Path, name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [program, f"--test-case={name}", "--no-colors"],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PATIENCE,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]
    assert re.search(r"^\[doctest\] test cases: +1 \| +1 passed", done.stdout, re.M), done.stdout
