"""Two interpreters that read what the tests freeze, both at once."""

import concurrent.interpreters as interpreters
import gc
import os
import pickle
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from firn import _core

sys.path.insert(0, str(Path(__file__).parent))  # reading.py is imported here and by the readers


class Readers:
    """Interpreters with a GIL of their own. They adopt frozen values by address, as the pool's workers do."""

    def __init__(self, count: int) -> None:
        self.interpreters = [interpreters.create() for _ in range(count)]
        for interpreter in self.interpreters:
            interpreter.prepare_main(path=(str(Path(__file__).parent), *sys.path))
            interpreter.exec("import sys; sys.path[:] = path; import gc, pickle; from firn import _core")

    def run(self, code: str, frozen: object, **names: object) -> None:
        """Runs the code here, then in all readers at once, where `frozen` is the value; then collects garbage."""
        code = textwrap.dedent(code)
        exec(code, {"frozen": frozen, **names})
        gc.collect()
        errors: list[BaseException] = []

        def work(interpreter: interpreters.Interpreter) -> None:
            try:
                interpreter.prepare_main(at=_core.address(frozen), names=pickle.dumps(names))
                interpreter.exec(
                    "frozen = _core.adopt(at); globals().update(pickle.loads(names))\n"
                    + code
                    + "\ndel frozen; gc.collect()"
                )
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(interpreter,)) for interpreter in self.interpreters]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def close(self) -> None:
        for interpreter in self.interpreters:
            interpreter.close()


@pytest.fixture(scope="session")
def readers() -> Iterator[Readers]:
    readers = Readers(2)
    yield readers
    readers.close()


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs code in a fresh Python, with the guard on or off."""

    def run(
        code: str, guard: bool = True, timeout: float = 120, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            env=os.environ | {"FIRN_GUARD": str(int(guard))} | environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


@pytest.fixture
def spool() -> Iterator[Path]:
    """An empty folder for spool files, on a disk: the folder of temporary files may be memory."""
    with tempfile.TemporaryDirectory(prefix="firn-test-", dir="/var/tmp") as folder:
        yield Path(folder)
