"""A JupyterLab of our own and a Chromium to drive it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from .actions import Notebook

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
START_SECONDS = 90
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},  # no question about news
    "notebook-extension/tracker": {"recordTiming": True},
    "completer-extension/manager": {
        "providerTimeout": 60_000
    },  # ms; a loaded machine may need more than the usual one second
}
PROJECT = Path(__file__).parents[2]
SCALE = 1.5  # pixels of a picture for one of the page


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: its address with the token to pass, and the folder that it shows."""

    url: str
    token: str
    folder: Path

    def stop_kernels(self) -> None:
        for kernel in json.load(self._request("GET", "kernels")):
            self._request("DELETE", f"kernels/{kernel['id']}").close()

    def connection_files(self) -> list[Path]:
        """Those of the kernels that run."""
        kernels = json.load(self._request("GET", "kernels"))
        return [self.folder.parent / "runtime" / f"kernel-{kernel['id']}.json" for kernel in kernels]

    def _request(self, method: str, path: str) -> HTTPResponse:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.url}/api/{path}", method=method, headers=headers)
        response: HTTPResponse = urllib.request.urlopen(request, timeout=60)
        return response


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_until_it_answers(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)  # the only way to learn that another process listens
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("lab")
    folder = home / "notebooks"
    folder.mkdir()
    for name, settings in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(settings))
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    port, token, log = free_port(), "browser-test", home / "lab.log"
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--notebook-dir={folder}"),
        *(f"--port={port}", "--ServerApp.port_retries=0", "--ip=127.0.0.1", f"--IdentityProvider.token={token}"),
    ]
    with open(log, "wb") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, process_group=0)
    try:
        wait_until_it_answers(server, f"http://127.0.0.1:{port}/api?token={token}", log)
        yield Lab(f"http://127.0.0.1:{port}", token, folder)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


@pytest.fixture(scope="package")  # while it lives, an event loop runs in this thread: other tests want their own
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def page(lab: Lab, browser: Browser) -> Iterator[Page]:
    """One page for all tests: what it has loaded once it has in its cache."""
    context = browser.new_context(viewport={"width": 1400, "height": 840}, device_scale_factor=SCALE)
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"{lab.url}/lab?token={lab.token}")
    yield page
    context.close()


@pytest.fixture
def notebook(lab: Lab, page: Page) -> Iterator[Notebook]:
    """A new notebook with a kernel of its own."""
    page.goto(f"{lab.url}/lab?reset")
    page.locator('.jp-LauncherCard[data-category="Notebook"][title^="firn"]').first.click()
    notebook = Notebook(page)
    notebook.wait_for_idle()
    yield notebook
    page.goto("about:blank")  # so that nobody there misses the kernel
    lab.stop_kernels()
