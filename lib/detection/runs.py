"""The folder of a long run: what stands in it, and that one training writes there.

    config.json          settings and categories; `trained` builds the detector from it
    log.jsonl            a row an epoch
    dropped.json         annotations that were left out as bad, if there are any
    checkpoint.pt        the state to go on from after a kill, the rows of the log in it
    weights.safetensors  the averaged detector, its SHA-256 beside it
    lock                 held by the training that runs; a kill lets go of it

Every file takes its name in one move, so that a kill leaves no half of one. For
`recipes`.
"""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from lib.basics import checkpoints

FORMAT = 2  # of config.json; 1 had neither this number nor ids of categories


class Log:
    """Rows of log.jsonl and the losses of the epoch that runs: part of a checkpoint.

    So a run that was killed goes on to the same rows as one that was not.
    """

    def __init__(self):
        self.rows: list[dict] = []
        self.losses: list[float] = []

    def close_epoch(self, epoch: int, **more: float) -> dict:
        """A row with the mean of the losses since the row before; returns it."""
        loss = math.fsum(self.losses) / len(self.losses)
        row = {"epoch": epoch, "loss": loss} | more
        self.rows.append(row)
        self.losses = []
        return row

    def state_dict(self) -> dict:
        return {"rows": self.rows, "losses": self.losses}

    def load_state_dict(self, state: dict) -> None:
        self.rows, self.losses = list(state["rows"]), list(state["losses"])


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep a second training out of the folder; ValueError if there is one already.

    The system lets go of the lock when the process ends, however it ends, and children
    (workers that read pictures) do not inherit it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "ab") as file:
        file.seek(0)
        try:
            if os.name == "posix":
                import fcntl

                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise ValueError(
                f"{folder}: another training writes there; wait for it, or take another"
                " folder"
            ) from error
        yield


def write_json(path: Path, value) -> None:
    """One value as JSON, in one move."""
    checkpoints.write_file(path, json.dumps(value).encode())


def write_results(folder: Path, model: nn.Module, log: Log) -> None:
    """Weights and log as they are now, each in one move."""
    checkpoints.save_weights(model, folder / "weights.safetensors")
    lines = [json.dumps(row) + "\n" for row in log.rows]
    checkpoints.write_file(folder / "log.jsonl", "".join(lines).encode())


def read_config(folder: Path) -> dict:
    """What config.json says: "settings", "names" and "category_ids".

    ValueError names the file that is missing, cut short, changed or too new.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{path} does not exist: is {folder} the folder of a run?")
    try:
        about = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is cut short or changed: {error}") from error
    plain = isinstance(about, dict)
    version = about.get("format", 1) if plain else None
    if version not in range(1, FORMAT + 1):
        raise ValueError(f"{path} has the format {version!r}; known are 1 to {FORMAT}")
    settings, names = about.get("settings"), about.get("names")
    ids = about.setdefault("category_ids", [*range(1, len(names or ()) + 1)])
    good = isinstance(settings, dict) and isinstance(names, list) and names
    if not good or not isinstance(ids, list) or len(ids) != len(names):
        raise ValueError(
            f"{path} is no run's: it needs settings, names and as many category_ids"
        )
    return about
