"""What tools/env promises to somebody who calls it by hand: clear refusals, and nothing half made.

The tests run inside the environment, where the system counts as a forky that has its packages; what they build or
break is in folders of their own.
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout with a space in its path, as far as tools/env looks at it."""
    project = tmp_path / "a checkout"
    shutil.copytree(PROJECT / "tools", project / "tools")
    shutil.copy(PROJECT / "pyproject.toml", project)
    return project


@pytest.fixture
def silent_index() -> Iterator[str]:
    """The address of a package index that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple"


def start(project: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [project / "tools" / "env", *arguments],
        cwd=project,
        env=os.environ | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    )


def call(project: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    process = start(project, *arguments, **environment)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.parametrize("version", ["3.14", "3.15"])
def test_runs_a_command_in_the_python_asked_for(copy: Path, version: str) -> None:
    status, out, err = call(copy, "run", "-p", version, "python", "-c", "import sys; print(*sys.version_info[:2])")
    assert (status, out.split()) == (0, version.split(".")), err


def test_passes_arguments_and_the_exit_status_on(copy: Path) -> None:
    status, out, _ = call(copy, "run", "bash", "-c", 'printf "%s|" "$@"; exit 7', "bash", "two words", "$HOME", "*")
    assert (status, out) == (7, "two words|$HOME|*|")


def test_an_unknown_version_is_refused_with_those_that_exist(copy: Path) -> None:
    status, _, err = call(copy, "run", "-p", "3.9", "python")
    assert status == 1 and "no Python 3.9 here: -p takes one of 3.14 3.15" in err


def test_missing_packages_are_named_with_the_command_that_installs_them(copy: Path, tmp_path: Path) -> None:
    with open(copy / "tools" / "packages.txt", "a") as packages:
        packages.write("no-such-package  # for this test\n")
    status, _, err = call(copy, FIRN_ENV=str(tmp_path / "env"))
    assert status == 1 and "sudo apt-get install no-such-package" in err


def test_without_the_tools_and_without_root_it_says_what_to_install(copy: Path, tmp_path: Path) -> None:
    # A system that is not forky, for a user who is not root: both are what two commands say.
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("bash", "dirname", "readlink", "sed", "cut", "sha256sum", "flock", "git", "mkdir", "rm"):
        (commands / name).symlink_to(shutil.which(name) or "")
    for name, script in {"grep": "exit 1", "id": "echo 1000"}.items():
        (commands / name).write_text(f"#!/bin/bash\n{script}\n")
        (commands / name).chmod(0o755)
    status, _, err = call(copy, FIRN_ENV=str(tmp_path / "env"), FIRN_IN_ENV="", PATH=str(commands))
    assert status == 1 and "sudo apt-get install mmdebstrap bubblewrap uidmap" in err


def test_without_a_network_it_says_so_and_leaves_nothing_half_made(copy: Path, tmp_path: Path) -> None:
    env = tmp_path / "its env"
    status, _, err = call(copy, FIRN_ENV=str(env), PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    assert status == 1 and "is there a network?" in err and f"{env}/venv-3.14.log" in err
    assert not [entry for entry in env.iterdir() if entry.is_dir()]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_nothing_half_made(copy: Path, tmp_path: Path, silent_index: str, how: int) -> None:
    env = tmp_path / "its env"
    with start(copy, FIRN_ENV=str(env), PIP_INDEX_URL=silent_index, PIP_FIND_LINKS="") as build:
        assert build.stderr is not None
        assert "installing" in build.stderr.readline()
        with start(copy, FIRN_ENV=str(env), PIP_INDEX_URL=silent_index, PIP_FIND_LINKS="") as second:
            assert second.stderr is not None
            assert "another call is building the environment" in second.stderr.readline()
            os.killpg(second.pid, signal.SIGKILL)
        os.killpg(build.pid, how)
        assert "nothing half made is left" in build.stderr.read()
    assert build.returncode == 128 + how
    assert not [entry for entry in env.iterdir() if entry.is_dir()]


def test_a_relative_firn_env_means_the_same_folder_inside(copy: Path, tmp_path: Path) -> None:
    real = subprocess.run([PROJECT / "tools" / "env"], capture_output=True, text=True).stderr
    (copy / "near").symlink_to(Path(real.split(", ")[1]).parent)
    status, out, err = call(copy, "run", "bash", "-c", 'cd / && echo "$FIRN_ENV"', FIRN_ENV="near")
    assert (status, out.strip()) == (0, str(copy / "near")), err
