"""Run a command with no network but loopback.

Where the kernel allows it, in a network namespace of its own, which no child can
leave. Elsewhere every Python child refuses to connect beyond loopback, through a
`sitecustomize` that Python imports at start.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HOW = "COURSE_OFFLINE"  # set inside: "namespace" or "patched sockets"
SITE = Path(__file__).parent / "offline_site"

# Brings loopback up with two ioctl calls, so that no `ip` command is needed, then
# becomes the command.
_ENTER = """
import fcntl, os, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    request = struct.pack("16sh", b"lo", 0)
    flags = struct.unpack("16sh", fcntl.ioctl(s, 0x8913, request))[1]
    fcntl.ioctl(s, 0x8914, struct.pack("16sh", b"lo", flags | 1))
os.execv(sys.argv[1], sys.argv[1:])
"""


def inside() -> bool:
    """True if this process already runs with the network off."""
    return HOW in os.environ


def run(command: list[str]) -> int:
    """Run `command` with the network off and return its exit status."""
    enter = ["unshare", "-rn", sys.executable, "-c", _ENTER]
    probe = [*enter, sys.executable, "-c", "pass"]
    works = shutil.which("unshare") and (
        subprocess.run(probe, capture_output=True, check=False).returncode == 0
    )
    if works:
        env = {**os.environ, HOW: "namespace"}
        return subprocess.call([*enter, *command], env=env)
    path = os.pathsep.join(filter(None, [str(SITE), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, HOW: "patched sockets", "PYTHONPATH": path}
    return subprocess.call(command, env=env)
