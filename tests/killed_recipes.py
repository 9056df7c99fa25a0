"""Detectors trained, killed, trained on: `python -m tests.killed_recipes FOLDER`.

As `tests.killed` for `fit`: one process imports torch and forks a child for each life,
which dies by SIGKILL. FOLDER gets the pictures and a run for each life; what came of
them is printed. The detector is tiny, and everything else is what a long run does.
"""

import hashlib
import json
import os
import random
import sys
import time
import traceback
from pathlib import Path

import lib  # noqa: F401  isort: skip  (threads)
import safetensors.torch
import torch
import torch._dynamo  # the first optimizer imports it; once here, not in each child
from torch import nn

from lib.basics import checkpoints, data, training
from lib.detection import anchors, efficientdet, recipes, runs
from tests import killed

SETTINGS = recipes.Settings(
    model="plain", epochs=2, batch=4, lr=0.02, jitter=(0.5, 1.5), evaluate_every=2,
    save_every=2, workers=0,
)  # fmt: skip
STEPS = 6  # 14 pictures, of which one is for the judgement: 3 steps an epoch


class Tiny(nn.Module):
    """Two levels of four channels, and dropout, which draws random numbers."""

    channels = (4, 4)

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 4, 1), nn.BatchNorm2d(4))
        self.drop = nn.Dropout(0.2)

    def forward(self, images):
        x = torch.relu(self.drop(self.stem(images)))
        return [x, nn.functional.max_pool2d(x, 2)]


def tiny(settings, num_classes):
    config = efficientdet.Config(
        (32, 32), width=4, cells=1, repeats=1, num_classes=num_classes,
        anchors=anchors.AnchorConfig(3.0, 1, ((1.0, 1.0),), (2, 3)),
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return efficientdet.Detector(Tiny(), config)


def contents(folder: Path) -> str:
    """A digest of all that a finished run leaves behind, and that a user reads."""
    digest = hashlib.sha256()
    for name in ("weights.safetensors", "weights.sha256", "log.jsonl", "config.json"):
        digest.update((folder / name).read_bytes())
    recipes.trained(folder)  # what stands there can be used
    state = checkpoints.read_checkpoint(folder / "checkpoint.pt")
    digest.update(repr([state["step"], state["log"]]).encode())
    for part in ("model", "optimizer", "ema"):
        for leaf in torch.utils._pytree.tree_leaves(state[part]):
            tensor = isinstance(leaf, torch.Tensor)
            digest.update(leaf.numpy().tobytes() if tensor else repr(leaf).encode())
    return digest.hexdigest()


def arm(kind: str, when: int) -> None:
    """Prepare this process to die at a call, counted from 1, of one kind."""
    count = {"calls": 0}

    def at(call):
        def wrapped(*args, **named):
            count["calls"] += 1
            if count["calls"] == when:
                killed.die()
            return call(*args, **named)

        return wrapped

    if kind == "half of the weights":
        save, move = safetensors.torch.save, checkpoints.replace

        def half(path, write):
            if path.suffix != ".safetensors":
                return move(path, write)
            count["calls"] += 1
            if count["calls"] < when:
                return move(path, write)
            whole = save(dict(enumerate_tensors()))
            path.with_name(path.name + ".tmp").write_bytes(whole[: len(whole) // 2])
            killed.die()

        def enumerate_tensors():
            yield "cut", torch.zeros(100)

        checkpoints.replace = half
    elif kind == "before a step":
        training.update_weights = at(training.update_weights)
    elif kind == "in an evaluation":
        recipes.evaluate = at(recipes.evaluate)
    elif kind == "before the results":
        runs.write_results = at(runs.write_results)
    elif kind:
        killed.arm(kind, when)


def attempt(pictures: Path, folder: Path, kind: str = "", when: int = 0) -> bool:
    """Run in a child to the end or to its death; True if it was killed."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            arm(kind, when)
            recipes.train(pictures, folder, SETTINGS)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    if kind == "after microseconds":
        time.sleep(when / 1e6)
        os.kill(pid, killed.signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, -killed.signal.SIGKILL), (folder, kind, when, status)
    return status != 0


def life(pictures: Path, folder: Path, kills: list) -> dict:
    """One run with its kills, and what stands in its folder at the end."""
    died = [attempt(pictures, folder, *kill) for kill in kills]
    attempt(pictures, folder)
    return {"kills": kills, "killed": died, "result": contents(folder)}


def main(root: Path) -> dict:
    torch.set_num_threads(1)
    recipes.build = tiny  # in the children, too
    pictures, random_ = root / "pictures", random.Random(3)
    data.write_coco(data.scenes("train", 14, size=32, pixels=(10, 20)), pictures)
    began = time.monotonic()
    whole = life(pictures, root / "whole", [])
    took = int(1e6 * (time.monotonic() - began)) // 2

    lives = [[("before a step", n + 1)] for n in range(STEPS)]
    lives += [[("before a step", n) for n in (2, 2, 1, 1, 1)]]  # killed five times
    lives += [[("in an evaluation", 1)], [("in an evaluation", 1)] * 2]
    lives += [[("before the results", n)] for n in (1, 2, 3)]
    lives += [[("half of the weights", n)] for n in (1, 2)]
    lives += [[("half a file", n)] for n in range(1, 6)]
    # A file is one move, a checkpoint two and its first one: until no life ends.
    for kind, most in (("before fsync", 19), ("before a move", 28)):
        lives += [[(kind, n)] for n in range(1, most + 1)]
    lives += [[("after microseconds", random_.randrange(took))] for _ in range(6)]
    found = [life(pictures, root / str(i), kills) for i, kills in enumerate(lives)]
    return {"whole": whole["result"], "lives": found}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
