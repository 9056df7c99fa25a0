"""The network is off: in this process, in a child, and in a notebook's kernel."""

import subprocess
import sys

import nbformat
from nbclient import NotebookClient

from tests import offline

# 203.0.113.0/24 is reserved for documentation (RFC 5737): nobody's address.
TRY = """
import socket
try:
    socket.create_connection(("203.0.113.1", 80), timeout=5)
    print("connected")
except TimeoutError:
    print("tried")
except OSError:
    print("refused")
try:
    socket.getaddrinfo("example.org", 80)
    print("resolved")
except OSError:
    print("refused")
try:
    socket.gethostbyname("example.org")
    print("resolved")
except OSError:
    print("refused")
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname(), timeout=5).close()
    print("loopback works")
"""
EXPECTED = ["refused", "refused", "refused", "loopback works"]


def test_this_process_is_inside():
    assert offline.inside()


def test_a_child_process_is_refused():
    run = subprocess.run(
        [sys.executable, "-c", TRY], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == EXPECTED


def test_a_kernel_is_refused():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(TRY)])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert notebook.cells[0].outputs[0].text.splitlines() == EXPECTED


def test_the_fallback_refuses_too(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(offline.SITE))
    run = subprocess.run(
        [sys.executable, "-c", TRY], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == EXPECTED
