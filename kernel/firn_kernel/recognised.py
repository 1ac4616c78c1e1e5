"""What libraries look for to know that they run in a notebook, and may show widgets and HTML.

Jupyter has no question for that, so they ask for what ipykernel leaves in its process: a shell whose class is called
ZMQInteractiveShell (rich), a section IPKernelApp in its configuration, ipykernel.zmqshell among the imported modules
(tqdm). What they show there this kernel shows as well.
"""

import sys
import types

from traitlets.config import Config

_MODULE = "ipykernel.zmqshell"


def leave_traces(config: Config, shell_class: type) -> None:
    """Makes the kernel known as one of a notebook, whether ipykernel is installed or not."""
    config.setdefault("IPKernelApp", Config())
    module = types.ModuleType(_MODULE, "Stands in for ipykernel's; ipykernel itself is not imported.")
    setattr(module, shell_class.__name__, shell_class)
    sys.modules.setdefault(_MODULE, module)
