"""Stages that write files: each done once, and gone on with after a kill.

A stage is a function that writes what it makes into the road's folder. When it has
ended, a small file says so, with its settings and its CPU-seconds; only then is it
skipped the next time. So a stage that was killed begins again (a training from its last
checkpoint), and one whose settings have changed as well, with all that follow it.

Support for `capstone`.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from lib.basics import arguments, checkpoints

Stage = Callable[["Road"], None]


class Road:
    """A folder of results, and which stages are live; the others read what is shipped.

    `steps`: of each live training. `seed`: of all chance. ValueError for a stage that
    is not among `names`.
    """

    def __init__(self, folder, names, live: Iterable[str] = (), steps=60, seed=0):
        arguments.path("folder", folder)
        self.folder, self.names = Path(folder), tuple(names)
        self.live = frozenset([live] if isinstance(live, str) else live)
        self.steps = arguments.whole_number("steps", steps, least=1)
        self.seed = arguments.seed(seed)
        unknown = sorted(self.live - set(self.names))
        if unknown:
            known = ", ".join(self.names)
            raise ValueError(f"live has {', '.join(unknown)}; stages are {known}")

    def file(self, name: str) -> Path:
        """Where a result stands."""
        return self.folder / name

    def checkpoint(self, stage: str) -> Path:
        """Where a live training keeps its state: other settings, another file.

        With one file for all, who trains another detector into the same folder would
        be refused: a checkpoint goes on with the run that wrote it, or not at all.
        """
        told = json.dumps(self.settings()).encode("utf-8")
        return self.file(f"{stage}-{hashlib.sha256(told).hexdigest()[:8]}.pt")

    def settings(self) -> list:
        """What decides the results: all switches, steps and seed."""
        return [sorted(self.live), self.steps, self.seed]

    def seconds(self, stage: str) -> float | None:
        """CPU-seconds that a stage took; None if it is not done with these settings."""
        try:
            done = json.loads(self.file(f"{stage}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):  # none yet, or one that was cut short
            return None
        return done["seconds"] if done["settings"] == self.settings() else None

    def run(self, stages: dict[str, Stage], say=lambda text: None) -> None:
        """Run what is not done, in order; `say` is told of each."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for i, (name, make) in enumerate(stages.items(), 1):
            how = "live" if name in self.live else "shipped"
            if self.seconds(name) is not None:
                say(f"{i}/{len(stages)} {name}: done before ({how})")
                continue
            say(f"{i}/{len(stages)} {name}: {how}")
            torch.manual_seed(self.seed)
            begun = time.process_time()
            make(self)
            done = {
                "settings": self.settings(),
                "seconds": round(time.process_time() - begun, 2),
            }
            text = json.dumps(done).encode("utf-8")
            checkpoints.write_file(self.file(f"{name}.json"), text)
