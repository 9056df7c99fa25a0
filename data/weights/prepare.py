"""Train the networks whose weights stand in this folder.

    python data/weights/prepare.py                 # all of them
    python data/weights/prepare.py digits_cnn      # one of them
    python data/weights/prepare.py plain lite      # or some

digits_cnn: seed 0, about 30 seconds of one CPU thread, 100 kB, accuracy 0.89 on 2,000
test crops.

plain, course, lite: the detectors of `lib.detectors`, seeds 0, 1 and 2, all under one
budget of time: first the backbone reads digit crops (2,000 batches of 64), then the
whole learns from 10,000 scenes for about 13 minutes of one CPU thread, as many batches
of 16 as that is (`STEPS`). The nine trainings take about 135 minutes, drawing the
scenes two more. All names are trained with seed 0 first, then with the next one. The
best seed so far on validation scenes is shipped, with the backbone it started from;
detectors.jsonl has the scores of every seed. It may be stopped at any time: finished
trainings and checkpoints stand in build/weights, and the next call goes on (its row
then has the CPU seconds of that call alone). To share the work, give different names to
several calls.

A second run on the same machine and torch gives the same bytes; elsewhere the last
digits of a sum differ, and so do the SHA-256 and, by about 0.01, accuracy and AP.
"""

import itertools
import statistics
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "ablations")]

import lib  # noqa: E402, F401, I001  (before torch)
import ledger  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torchvision.transforms.v2 import functional as F  # noqa: E402

from lib.basics import data, profiling, training  # noqa: E402
from lib.detection import anchors, coco_eval, decoding, detection_loss, detectors  # noqa: E402

BUILD = HERE.parents[1] / "build" / "weights"
SCORES = HERE / "detectors.jsonl"
MARK = "<!-- scores -->"  # of the table in README.md
SEEDS = (0, 1, 2)
SIDES = 20, 52  # pixels of a crop
CROPS = {"crops": 24_000, "side": 40, "steps": 2000, "batch": 64}
CROPS |= {"lr": 5e-3, "weight_decay": 0.05, "ema": 0.99, "smoothing": 0.1}
CROPS |= {"difficulty": detectors.DIFFICULTY}
SCENES = {"scenes": 10_000, "batch": 16, "lr": 7e-3, "weight_decay": 0.01}
SCENES |= {"ema": 0.998, "clip": 10.0, "warmup": 0.05}
SCENES |= {"delta": 0.02, "box_weight": 250}  # sharper boxes than 0.1 and 50
SCENES |= {"judged": 1000, "difficulty": detectors.DIFFICULTY}
STEPS = {"plain": 4200, "course": 3200, "lite": 3400}  # 0.19, 0.25, 0.23 s a step


def digits_cnn() -> str:
    """`training.small_cnn()` on digit crops of the default difficulty."""
    crops = data.crops("train", 6000)
    model = training.small_cnn()
    ema = training.EMA(model, 0.995)
    loss_fn = training.classification_loss(smoothing=0.1)
    training.fit(model, crops, loss_fn, epochs=30, lr=0.3, ema=ema)
    training.save_weights(ema.model, HERE / "digits_cnn.safetensors")
    scores = {
        split: training.accuracy(ema.model, *data.crops(split, 2000))
        for split in ("validation", "test")
    }
    return ", ".join(f"{split} accuracy {s:.4f}" for split, s in scores.items())


class Reader(nn.Module):
    """A backbone that reads crops: means of all levels but the finest, one layer."""

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone
        self.classifier = nn.Linear(sum(backbone.channels[1:]), 10)

    def forward(self, images):
        levels = self.backbone(images)[1:]
        return self.classifier(torch.cat([x.mean((2, 3)) for x in levels], 1))


def resized(batch, generator):
    """Crops in another size, a multiple of 4, for each batch: digits of any height."""
    low, high = SIDES
    side = 4 * int(torch.randint(low // 4, high // 4 + 1, (), generator=generator))
    return F.resize(batch[0], [side, side], antialias=True), batch[1]


def optimizer(model: nn.Module, how: dict) -> torch.optim.AdamW:
    groups = training.parameter_groups(model, how["weight_decay"])
    return torch.optim.AdamW(groups, lr=how["lr"])


def learn_to_read(backbone: nn.Module, how: dict, seed: int, checkpoint=None):
    """The backbone after its crops, averaged, and its accuracy on other crops."""
    model = Reader(detectors.for_short_runs(backbone))
    ema = training.EMA(model, how["ema"])
    training.fit(
        model, detectors.crops("train", how["crops"], how["side"]),
        training.classification_loss(how["smoothing"]), steps=how["steps"],
        batch_size=how["batch"], optimizer=optimizer(model, how), ema=ema,
        augment=resized, checkpoint=checkpoint, every=250, seed=seed,
    )  # fmt: skip
    crops = {s: detectors.crops(s, 2000) for s in ("validation", "test")}
    scores = {s: training.accuracy(ema.model, *some) for s, some in crops.items()}
    return ema.model.backbone, scores


def settings(part: str, name: str) -> dict:
    """How a part of a shipped detector is trained."""
    return CROPS if part == "backbone" else SCENES | {"steps": STEPS[name]}


def loss_of(config, how: dict):
    """A `loss_fn` for `fit` on batches of scenes."""
    places = anchors.anchors(config.image_size, config.anchors)
    constants = {key: how[key] for key in ("delta", "box_weight")}

    def loss_fn(model, batch):
        outputs = model(training.normalise(batch.images))
        loss = detection_loss.detection_loss(*outputs, batch, places, **constants)
        parts = {"classes": loss.classes, "boxes": loss.boxes}
        return loss.total, {name: part.detach() for name, part in parts.items()}

    return loss_fn


def learn_to_detect(model: nn.Module, how: dict, seed: int, checkpoint=None):
    """The detector after its scenes, averaged, and COCO's numbers on other scenes."""
    ema = training.EMA(model, how["ema"])
    training.fit(
        model, detectors.scenes("train", how["scenes"]), loss_of(model.config, how),
        steps=how["steps"], batch_size=how["batch"], optimizer=optimizer(model, how),
        warmup=how["warmup"], clip=how["clip"], ema=ema, collate=data.collate,
        checkpoint=checkpoint, every=250, seed=seed,
    )  # fmt: skip
    splits = ("validation", "test")
    return ema.model, {s: judge(ema.model, s, how["judged"]) for s in splits}


def judge(model: nn.Module, split: str, n: int, suppress=decoding.hard_nms) -> list:
    """COCO's twelve numbers on scenes that the model has not seen."""
    scenes = detectors.scenes(split, n)
    found = coco_eval.detections(model, scenes, suppress=suppress)
    return list(coco_eval.evaluate(scenes.coco(), found))


def reader(name: str, seed: int):
    """Train the backbone of a shipped detector."""
    file = BUILD / f"backbone_{name}_{seed}.pt"
    return learn_to_read(detectors.backbone(name), CROPS, seed, file)


def finder(name: str, seed: int):
    """Train a shipped detector from its backbone."""
    model = detectors.detector(name)
    start = BUILD / f"backbone_{name}_{seed}.safetensors"
    training.load_weights(model.backbone, start)
    file = BUILD / f"detector_{name}_{seed}.pt"
    return learn_to_detect(model, settings("detector", name), seed, file)


def softly(name: str, seed: int):
    """Judge a trained detector once more, with soft-NMS instead of NMS."""
    model = detectors.detector(name)
    training.load_weights(model, BUILD / f"detector_{name}_{seed}.safetensors")
    soft = decoding.soft_nms
    return model, {"test": judge(model.eval(), "test", SCENES["judged"], soft)}


def rows() -> list[dict]:
    """The recorded scores; a line that a kill has cut is left out."""
    return ledger.read(SCORES)


def scored(part: str, name: str, seed: int, work) -> dict:
    """The row of one training, from detectors.jsonl or by doing it now."""
    file = BUILD / f"{part}_{name}_{seed}.safetensors"
    about = {"part": part, "model": name, "seed": seed}
    about |= {"settings": settings(part, name)}
    for row in rows():
        if about.items() <= row.items() and file.exists():
            return row
    torch.manual_seed(seed)  # of the first weights
    begun = time.process_time()
    model, scores = work(name, seed)
    training.save_weights(model, file)
    row = about | scores | {"cpu_seconds": round(time.process_time() - begun)}
    return ledger.append(SCORES, row)


def detector(name: str, seed: int) -> str:
    """Train one detector with one seed; ship the best so far on validation scenes."""
    scored("backbone", name, seed, reader)
    row = scored("detector", name, seed, finder)
    scored("soft", name, seed, softly)
    found = {
        each["seed"]: each["validation"][0]
        for each in rows()
        if (each["part"], each["model"]) == ("detector", name)
        and each["settings"] == settings("detector", name)
        and (BUILD / f"detector_{name}_{each['seed']}.safetensors").exists()
    }
    best = max(found, key=found.get)
    for part in ("backbone", "detector"):
        model = detectors.detector(name)
        model = model if part == "detector" else model.backbone
        training.load_weights(model, BUILD / f"{part}_{name}_{best}.safetensors")
        training.save_weights(model, HERE / f"{part}_{name}.safetensors")
    datasheet()
    said = f"AP {row['test'][0]:.3f}, AP50 {row['test'][1]:.3f} on test scenes"
    return f"seed {seed}: {said}; seed {best} is shipped"


def datasheet() -> None:
    """Write what detectors.jsonl says of today's settings into README.md."""
    lines = ["| file | kB | parameters | test, seed by seed | mean | shipped | CPU-s |"]
    lines += ["|---|---|---|---|---|---|---|"]
    parts = ("backbone", "detector")
    for part, name in itertools.product(parts, detectors.CONFIGS):
        file, found = HERE / f"{part}_{name}.safetensors", {}
        for row in rows():
            if (row["part"], row["model"]) == (part, name):
                if row["settings"] == settings(part, name):
                    found[row["seed"]] = row
        if not (found and file.exists()):
            continue
        model = detectors.detector(name)
        model = model if part == "detector" else model.backbone
        seeds = [found[seed] for seed in sorted(found)]
        scores = [row["test"] for row in seeds]
        scores = scores if part == "backbone" else [numbers[0] for numbers in scores]
        digest = file.with_suffix(".sha256").read_text("utf-8")[:64]
        (best,) = [  # by its bytes
            row for row in seeds if sha256(part, name, row["seed"]) == digest
        ]
        about = "" if part == "backbone" else f": AP50 {best['test'][1]:.3f}"
        mine = {"part": "soft", "model": name, "seed": best["seed"]}
        mine |= {"settings": settings("soft", name)}
        for row in (r for r in rows() if about and mine.items() <= r.items()):
            about += f", AP with soft-NMS {row['test'][0]:.3f}"
        told = " ".join(f"{score:.3f}" for score in scores)
        seconds = statistics.median(row["cpu_seconds"] for row in seeds)
        line = f"| `{file.name}` | {file.stat().st_size / 1000:.0f} |"
        line += f" {profiling.parameters(model):,} | {told} |"
        line += f" {statistics.mean(scores):.3f} | seed {best['seed']}{about} |"
        lines.append(f"{line} {seconds:.0f} |")
    sheet = HERE / "README.md"
    before, _, rest = sheet.read_text("utf-8").partition(MARK)
    after = rest.partition(MARK)[2]
    text = MARK.join([before, "\n" + "\n".join(lines) + "\n", after])
    sheet.write_text(text, encoding="utf-8")


def sha256(part: str, name: str, seed: int) -> str:
    file = BUILD / f"{part}_{name}_{seed}.sha256"
    return file.read_text("utf-8")[:64] if file.exists() else ""


def main(names: list[str]) -> None:
    known = ["digits_cnn", *detectors.CONFIGS]
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"no artefact {unknown[0]!r}; there are: {', '.join(known)}")
    torch.set_num_threads(1)  # the order of sums, and so the bytes, depend on it
    names = names or known
    if "digits_cnn" in names:
        print(f"digits_cnn: {digits_cnn()}", flush=True)
    for seed in SEEDS:  # all names with the first seed, then with the next one
        for name in (n for n in names if n in detectors.CONFIGS):
            print(f"{name}, {detector(name, seed)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
