"""Wrong kinds into the functions of detection: each is refused by its name.

In a process without the type checks of the other tests, as a user runs them.
"""

import json
import subprocess
import sys

import pytest

from tests.test_layout import ROOT

WALK = """
import json, types, warnings
import numpy as np, torch
from lib.detection import anchors, categories, coco_eval, decoding, detection_loss
from lib.detection import detectors

warnings.simplefilter("ignore")
grid = anchors.anchors((64, 64))
boxes, labels = torch.tensor([[1.0, 1, 20, 20]]), torch.tensor([1])
logits = [torch.zeros(1, 27, side, side) for side in (8, 4, 2, 1, 1)]
codes = [torch.zeros(1, 36, side, side) for side in (8, 4, 2, 1, 1)]
targets = types.SimpleNamespace(boxes=[boxes], labels=[labels])
model, scenes = detectors.detector("plain"), detectors.scenes("validation", 1)
truth = scenes.coco()
found = [entry | {"score": 0.5} for entry in truth["annotations"]]
CALLS = {
    anchors.AnchorConfig: dict(scale=4.0, octaves=3, ratios=((1, 1),), levels=(3, 7)),
    anchors.anchors: dict(image_size=(64, 64), config=anchors.AnchorConfig()),
    anchors.assign: dict(anchors=grid, boxes=boxes, labels=labels, matched=0.5,
                         unmatched=0.4),
    anchors.coverage: dict(anchors=grid, boxes=[boxes], matched=0.5),
    detection_loss.prior_bias: dict(probability=0.01),
    detection_loss.loss_of_assigned: dict(
        logits=torch.zeros(1, 2, 3), codes=torch.zeros(1, 2, 4),
        labels=torch.tensor([[0, -1]]), code_targets=torch.zeros(1, 2, 4),
        alpha=0.25, gamma=1.5, delta=0.1, box_weight=50.0),
    detection_loss.detection_loss: dict(
        class_outputs=logits, box_outputs=codes, targets=targets, anchors=grid,
        matched=0.5, unmatched=0.5, gamma=1.5),
    decoding.postprocess: dict(
        class_outputs=logits, box_outputs=codes, anchor_boxes=grid, sizes=[(64, 64)],
        threshold=0.1, candidates=5, suppress=decoding.hard_nms, keep=5),
    decoding.detect_all: dict(model=model, pictures=[scenes[0].image], threshold=0.3,
                              candidates=10),
    decoding.detect: dict(model=model, image=scenes[0].image, threshold=0.3, keep=5),
    coco_eval.evaluate: dict(ground_truth=truth, detections=found),
    coco_eval.precision_recall: dict(ground_truth=truth, detections=found),
    coco_eval.detections: dict(model=model, dataset=scenes, batch_size=1,
                               threshold=0.1, candidates=10),
}
WRONG = [
    None, "x", b"x", 3.5, -1, 0, float("nan"), 10**400, [], {}, (), object(), True, 1j,
    torch.zeros(2, 3, 4, 5), torch.zeros(0), torch.zeros((), device="meta"),
    np.zeros((2, 2), dtype=object), [None], ["x"], [[1], [1, 2]],
]
for call, sound in CALLS.items():
    call(**sound)
    for name in sound:
        for wrong in WRONG:
            try:
                call(**sound | {name: wrong})
                said = None
            except ValueError as error:
                said = str(error)
            except Exception as error:
                said = f"RAW {type(error).__name__}: {error}"
            print(json.dumps([call.__name__, name, repr(wrong)[:20], said]))
"""
# What a message may name in place of the argument: a part of it.
PARTS = {
    "ground_truth": ("images", "annotations", "categories"),
    "targets": ("boxes", "labels"),
    "pictures": ("image", "picture"),
    "dataset": ("dataset", "data has"),
    "image": ("image", "picture"),
}


@pytest.fixture(scope="module")
def rows() -> list:
    run = subprocess.run(
        [sys.executable, "-c", WALK], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return list(map(json.loads, run.stdout.splitlines()))


def test_wrong_kinds_are_refused_by_the_name_of_the_argument(rows):
    assert len(rows) > 900
    refused = [row for row in rows if row[3] is not None]
    assert len(refused) > 0.8 * len(rows)  # 0 may be a threshold, None a default
    strange = [
        row
        for row in refused
        if row[3].startswith("RAW")
        or not any(part in row[3] for part in (row[1], *PARTS.get(row[1], ())))
    ]
    assert strange == []
