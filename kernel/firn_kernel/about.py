"""What the kernel says of itself; it can do so before its shell is there."""

import os
import sys
from importlib.util import find_spec
from typing import Any

from ._version import version


def usage() -> dict[str, Any]:
    """The content of a usage_reply: seconds of CPU, bytes of memory."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "status": "ok",
        "hostname": os.uname().nodename,
        "pid": os.getpid(),
        "kernel_cpu": used.ru_utime + used.ru_stime,
        "kernel_memory": resident,
    }


def kernel_info() -> dict[str, Any]:
    """The content of a kernel_info_reply; xeus adds the protocol's version."""
    python = ".".join(map(str, sys.version_info[:3]))
    return {
        "status": "ok",
        "implementation": "firn",
        "implementation_version": version,
        "banner": f"firn {version}, Python {python}. %%parallel runs a cell on all cores; %%parallel? explains it.\n",
        "language_info": {
            "name": "python",
            "version": python,
            "mimetype": "text/x-python",
            "file_extension": ".py",
            "pygments_lexer": "ipython3",
            "codemirror_mode": {"name": "ipython", "version": 3},
            "nbconvert_exporter": "python",
        },
        "help_links": [
            {"text": "Python", "url": f"https://docs.python.org/{sys.version_info[0]}.{sys.version_info[1]}"},
            {"text": "IPython", "url": "https://ipython.readthedocs.io/en/stable/"},
        ],
        "supported_features": ["kernel subshells"] + ["debugger"] * (find_spec("debugpy") is not None),
    }
