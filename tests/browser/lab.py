"""JupyterLab on a learner's folder, and one notebook in it, driven from outside."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import lib
from lib.book import course

PATIENCE = 900  # seconds: a kernel's first import on a busy machine takes many


def available() -> bool:
    """True where there is a Chromium with its driver."""
    return bool(shutil.which("chromedriver") and browser_file())


def browser_file() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def server(work: Path):
    """JupyterLab on a folder; gives its address. It ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    call = [
        sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}",
        f"--notebook-dir={work}", "--IdentityProvider.token=", "--allow-root",
        "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=",
    ]  # fmt: skip
    path = os.pathsep.join([str(lib.ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "COURSE_WORK": str(work), "PYTHONPATH": path}
    environment.pop("COURSE_STATIC", None)
    with open(work / "lab.log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(call, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait(lambda: _answers(address), "JupyterLab to start")
        yield address
    finally:
        process.terminate()
        process.wait(60)


def _answers(address: str) -> bool:
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(f"{address}/api").status == 200
    return False


def wait(condition, what: str, seconds: float = PATIENCE):
    """Ask until `condition()` is true; gives what it gave."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := condition():
            return value
        time.sleep(0.3)
    raise TimeoutError(f"waited {seconds} s for {what}")


@contextlib.contextmanager
def page(width: int = 1280, height: int = 1600):
    """A headless Chromium without a cache."""
    options = webdriver.ChromeOptions()
    options.binary_location = browser_file()
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.add_argument(f"--window-size={width},{height}")
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options, service)
    driver.set_script_timeout(PATIENCE)
    try:
        yield driver
    finally:
        driver.quit()


class Notebook:
    """One open notebook: cells are found by what they contain, then typed into."""

    def __init__(self, driver, address: str, file: str):
        self.driver = driver
        driver.get(f"{address}/lab/tree/{file}?reset")
        ready = (
            "const w = window.jupyterapp?.shell.currentWidget;"
            "return !!(w && w.content && w.content.widgets && w.context.isReady"
            " && w.sessionContext.session?.kernel?.status == 'idle')"
        )
        wait(lambda: driver.execute_script(ready), f"{file} to open")

    def command(self, name: str, **arguments) -> None:
        """Run a command of JupyterLab and wait for its end."""
        self.driver.execute_async_script(
            "const [name, args, done] = arguments;"
            "window.jupyterapp.commands.execute(name, args).then(() => done())",
            name, arguments,
        )  # fmt: skip

    def index(self, text: str) -> int:
        """The first code cell that contains a text."""
        found = self.driver.execute_script(
            "const cells = window.jupyterapp.shell.currentWidget.content.widgets;"
            "return cells.findIndex(c => c.model.type == 'code'"
            " && c.model.sharedModel.getSource().includes(arguments[0]))",
            text,
        )
        assert found >= 0, f"no cell contains {text!r}"
        return found

    def source(self, text: str) -> str:
        """The text of the cell that contains a text."""
        return self.driver.execute_script(
            "return window.jupyterapp.shell.currentWidget.content"
            ".widgets[arguments[0]].model.sharedModel.getSource()",
            self.index(text),
        )

    def select(self, text: str):
        """Make a cell the active one and scroll to it; gives its element."""
        i = self.index(text)
        self.driver.execute_script(
            "const n = window.jupyterapp.shell.currentWidget.content;"
            "n.activeCellIndex = arguments[0]; n.deselectAll();"
            "return n.scrollToItem(arguments[0])",
            i,
        )
        return wait(
            lambda: self.driver.execute_script(
                "const n = window.jupyterapp.shell.currentWidget.content;"
                "const c = n.widgets[arguments[0]];"
                "return c.node.isConnected && c.node.querySelector('.cm-content')"
                " ? c.node : null",
                i,
            ),
            f"the cell with {text!r} to be drawn",
        )

    def type(self, text: str, new: str) -> None:
        """Click into the cell that contains `text` and type a new content."""
        editor = self.select(text).find_element(By.CSS_SELECTOR, ".cm-content")
        editor.click()
        editor.send_keys(Keys.CONTROL, "a")
        self.driver.execute_cdp_cmd("Input.insertText", {"text": new})
        wait(lambda: self.source(new.splitlines()[-1]) == new, "the text to arrive")

    def run(self, text: str) -> str:
        """Run the cell that contains a text; what it displays, as text."""
        self.select(text)
        self.command("notebook:run-cell")
        return self.output(text)

    def run_above(self, text: str) -> None:
        """Run all cells above the one that contains a text."""
        self.select(text)
        self.command("notebook:run-all-above")
        self.idle()

    def idle(self) -> None:
        """Wait until the kernel has nothing to do."""
        script = (
            "const s = window.jupyterapp.shell.currentWidget.sessionContext;"
            "return s.session?.kernel?.status == 'idle' && s.pendingInput !== true"
        )
        wait(lambda: self.driver.execute_script(script), "the kernel")

    def output(self, text: str) -> str:
        """What stands under the cell that contains a text."""
        self.idle()
        return self.driver.execute_script(
            "const c = window.jupyterapp.shell.currentWidget.content"
            ".widgets[arguments[0]];"
            "return c.node.querySelector('.jp-Cell-outputArea')?.innerText || ''",
            self.index(text),
        )

    def restart(self) -> None:
        """Restart the kernel, without a question."""
        self.driver.execute_async_script(
            "const [done] = arguments;"
            "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
            ".restart().then(() => done())"
        )
        self.idle()

    def save(self) -> None:
        self.command("docmanager:save")

    def picture(self, file: Path) -> None:
        """A screenshot of what is in view."""
        self.driver.save_screenshot(str(file))


def copy_chapter(name: str, work: Path) -> str:
    """A learner's copy of a shipped chapter; gives the file's name."""
    work.mkdir(parents=True, exist_ok=True)
    shutil.copy(course.CHAPTERS / f"{name}.ipynb", work)
    return f"{name}.ipynb"
