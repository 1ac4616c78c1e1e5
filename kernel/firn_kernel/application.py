"""Makes the shell as the user configured IPython: profile, configuration files, extensions, startup scripts."""

import os
from typing import Any, ClassVar

from IPython.core.application import BaseIPythonApplication
from IPython.core.profiledir import ProfileDir
from IPython.core.shellapp import InteractiveShellApp
from traitlets import Dict

from . import recognised
from .later import later
from .shell import ZMQInteractiveShell


class KernelApplication(BaseIPythonApplication, InteractiveShellApp):
    """IPython's application for the kernel, without a command line.

    The name makes it read `ipython_config.py` and `ipython_kernel_config.py`, as ipykernel does.
    """

    name = "ipython-kernel"
    user_ns = Dict()
    classes: ClassVar = [ZMQInteractiveShell, ProfileDir]

    def create_shell(self, kernel: Any) -> ZMQInteractiveShell:
        with later("tempfile"):
            self.init_profile_dir()
        self.init_config_files()
        self.load_config_file()
        recognised.leave_traces(self.config, ZMQInteractiveShell)
        os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        self.shell = ZMQInteractiveShell.instance(
            parent=self,
            ipython_dir=self.ipython_dir,
            profile_dir=self.profile_dir,
            user_ns=self.user_ns,
            kernel=kernel,
        )
        self.shell.configurables.append(self)
        return self.shell

    def run_users_startup(self) -> None:
        """Extensions, startup files and lines of the configuration; an error in one is shown, and passed over."""
        self.init_gui_pylab()
        self.init_extensions()
        self.init_code()

    def exit(self, exit_status: int | str | None = 0) -> None:
        """A configuration error must not end the kernel."""
