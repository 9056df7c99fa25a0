"""What part IV promises, asked of the recorded rows: at least three of each, medians.

The rows were made by data/ablations and data/weights; here nothing is measured, so a
noisy machine cannot fail. Rows of other weights than those that are shipped do not
count: who trains a detector anew has to record anew.
"""

import json
import statistics
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data"
sys.path.insert(0, str(DATA / "weights"))

import prepare  # noqa: E402
import prune  # noqa: E402


def rows(file: str, least: int = 3, **about) -> list[dict]:
    """At least three rows of a file that say so, one for each seed."""
    lines = (DATA / file).read_text("utf-8").splitlines()
    found = [row for row in map(json.loads, lines) if about.items() <= row.items()]
    assert len(found) >= least, f"{len(found)} rows of {about} in {file}"
    return found


def weights(model: str) -> str:
    return (DATA / "weights" / f"detector_{model}.sha256").read_text("utf-8")[:64]


def deployed(model: str, **about) -> list[dict]:
    return rows(
        "ablations/deployment.jsonl", model=model, weights=weights(model), **about
    )


def ap(model: str, form: str) -> float:
    """Each seed has 200 scenes of its own."""
    found = deployed(model, kind="accuracy", form=form)
    return statistics.median(row["ap"] for row in found)


def faster(model: str, size: int, than: str = "times faster") -> float:
    found = deployed(model, kind="latency", size=size)
    return statistics.median(row["int8"][than] for row in found)


def bytes_of(model: str, form: str) -> int:
    return deployed(model, kind="accuracy", form=form)[0]["bytes"]


SHIPS = "int8, weights of 7 bits"


OLDER = "ablations/deployment_older_cpu.jsonl"


def peak(file: str = "ablations/deployment.jsonl") -> float:
    """How many times as fast as floats a CPU's integers are in large products.

    What integers can gain hangs on it, so promises are shares of it.
    """
    found = rows(file, kind="peak")
    names = "macs a second, int8", "macs a second, fp32"
    return statistics.median(row[names[0]] / row[names[1]] for row in found)


def test_int8_of_plain_convolutions():
    """Against its own floats, both in onnxruntime, one thread."""
    assert faster("plain", 128) >= 2.0
    assert faster("plain", 128) >= 0.7 * peak()
    assert bytes_of("plain", "fp32") / bytes_of("plain", SHIPS) >= 3.5
    assert ap("plain", "fp32") - ap("plain", SHIPS) <= 0.01


@pytest.mark.parametrize(
    ("model", "than", "floor", "share"),
    [
        ("plain", "times faster", 2.0, 0.7),
        ("lite", "times faster", 1.3, 0.39),
        ("pruned", "times faster than plain", 3.0, 0.95),  # the file before this one
    ],
)
def test_on_an_older_cpu_integers_gained_more(model, than, floor, share):
    """Its floats were half as fast; the shares are those that are asked today."""
    found = rows(OLDER, model=model, kind="latency", size=128)
    gained = statistics.median(row["int8"][than] for row in found)
    assert gained >= floor and gained >= share * peak(OLDER)
    assert peak(OLDER) > peak()


def test_int8_of_separable_convolutions():
    """They gain less, and more on large pictures."""
    assert faster("lite", 128) >= 0.39 * peak()
    assert faster("lite", 512) > faster("lite", 128)
    assert ap("lite", "fp32") - ap("lite", SHIPS) <= 0.01


@pytest.mark.parametrize("model", ["plain", "lite", "course", "pruned"])
def test_a_file_gives_what_the_fake_quantized_model_gives(model):
    for row in deployed(model, kind="accuracy", form=SHIPS):
        assert abs(row["ap"] - row["ap fake"]) <= 0.005
        assert row["matched"] >= 0.99


@pytest.mark.parametrize("model", ["plain", "lite"])
def test_weights_of_four_bits_trained(model):
    """Maps have 8 bits. All on the same scenes, so the floats have one row."""
    about = {"model": model, "weights_sha256": weights(model)}
    file = "ablations/quantization.jsonl"
    (floats,) = rows(file, 1, experiment="float", **about)
    tuned = rows(file, experiment="training", how="LSQ", weights=4, maps=8, **about)
    assert floats["ap"] - statistics.median(row["ap"] for row in tuned) <= 0.03


def test_half_of_the_multiply_adds():
    """Channels pruned and tuned, 1,000 test scenes; and the time follows."""
    tuned = rows("weights/pruned.jsonl", tune=prune.TUNE, start=weights("plain"))
    how = prepare.settings("detector", "plain")
    whole = rows("weights/detectors.jsonl", part="detector", settings=how)
    whole = max(whole, key=lambda row: row["validation"][0])  # the one that is shipped
    lost = whole["test"][0] - statistics.median(row["test"][0] for row in tuned)
    assert lost <= 0.01

    for row in rows("ablations/channel_pruning.jsonl", question="latency"):
        assert row["used"]["weights"] == weights("plain")
        fewer = row["whole"]["macs"] / row["half"]["macs"]
        assert fewer >= 2.0
        assert row["whole"]["onnxruntime"] / row["half"]["onnxruntime"] >= 0.8 * fewer


def test_pruned_and_in_integers():
    """Against the floats of the whole detector."""
    assert faster("pruned", 128, "times faster than plain") >= 0.95 * peak()
    assert bytes_of("plain", "fp32") / bytes_of("pruned", SHIPS) >= 10.0
    assert ap("plain", "fp32") - ap("pruned", SHIPS) <= 0.02
