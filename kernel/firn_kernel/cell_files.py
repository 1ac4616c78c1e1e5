"""The file names of cells: front ends work them out from a cell's source, to set breakpoints before it runs.

JupyterLab hashes the source with the method and the seed that debugInfo names.
"""

import os

from IPython.core.compilerop import CachingCompiler

from . import _kernel

HASH_METHOD, HASH_SEED, SUFFIX = "Murmur2", 0xC70F6907, ".py"


def _place() -> str:
    """The folder for temporary files. The module tempfile finds the same one, and brings 1 MB of others along."""
    named = (os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    for folder in (*named, "/tmp", "/var/tmp", "/usr/tmp"):
        if folder and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            return os.path.abspath(folder)
    return os.getcwd()


# Nobody else on the machine can guess the name; the folder is made when a debugger asks for a cell's file.
FOLDER = os.path.join(_place(), f"firn_kernel_{os.getpid()}_{os.urandom(4).hex()}")
PREFIX = FOLDER + os.sep


def name_of(source: str) -> str:
    """The file that a cell with this source is compiled as; it need not exist."""
    return f"{PREFIX}{_kernel.murmur2(source.encode(errors='replace'), HASH_SEED)}{SUFFIX}"


def write(source: str) -> str:
    """Makes the cell's file, for a debugger that reads it; its name."""
    os.makedirs(FOLDER, mode=0o700, exist_ok=True)
    name = name_of(source)
    with open(name, "w", encoding="utf-8", errors="replace", newline="") as file:
        file.write(source)
    return name


def remove_all() -> None:
    import shutil

    shutil.rmtree(FOLDER, ignore_errors=True)


class CellCompiler(CachingCompiler):
    """Compiles cells under these names. IPython shows them as `Cell In[3]`."""

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        return name_of(raw_code)
