"""A file is written beside its place, and takes its name in one move.

So whoever reads it, and whatever is killed meanwhile, meets the old content or the new
one, never half of it. Support for `coco` and `checkpoints`.
"""

import contextlib
import os
from pathlib import Path


def replace(path: Path, write) -> None:
    """Let `write(file)` fill a temporary file, then give it the name in one move.

    OSError with the path if that fails, on a full disk for instance: the file that was
    there before is whole, and nothing half is left beside it.
    """
    fresh = path.with_name(path.name + ".tmp")
    try:
        with open(fresh, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave the name on no data
        os.replace(fresh, path)
    except (OSError, RuntimeError) as error:  # torch tells of a full disk in its own
        raise OSError(
            f"{path} cannot be written ({error}); is there room, and may one write"
            " there? What stood there before is whole"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


def write_file(path: str | Path, content: bytes) -> None:
    """Write a whole file in one move: a kill leaves the old one or the new one."""
    replace(Path(path), lambda file: file.write(content))
