"""The README's numbers, from the records that they were taken from."""

import json
import re
import statistics

import pytest

from lib.book import course

README = (course.ROOT / "README.md").read_text(encoding="utf-8")
DATA = course.ROOT / "data"


def rows(text):
    """The cells of all table rows."""
    lines = [s for s in text.splitlines() if s.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def recorded(file):
    return [json.loads(s) for s in (DATA / file).read_text("utf-8").splitlines()]


SHIPPED = {  # row: the model and the form in the records, and the file
    "as trained, float32": ("plain", "fp32", "detector_plain.safetensors"),
    "in integers of eight bits": ("plain", "int8", "detector_plain_int8.onnx"),
    "half of its multiply-adds pruned, trained again": (
        "pruned", "fp32", "detector_pruned.safetensors",
    ),
    "pruned, in integers": ("pruned", "int8", "detector_pruned_int8.onnx"),
}  # fmt: skip


@pytest.mark.parametrize("row", SHIPPED)
def test_the_way_of_the_detector_is_what_was_recorded(row):
    model, form, file = SHIPPED[row]
    size, ap, took = next(r[1:] for r in rows(README) if r[0] == row)
    assert int(size) == round((DATA / "weights" / file).stat().st_size / 1000)
    latency = [
        r[form]["ms"]
        for r in recorded("ablations/deployment.jsonl")
        if r["kind"] == "latency" and (r["model"], r["size"]) == (model, 128)
    ]
    assert float(took) == pytest.approx(statistics.median(latency), rel=0.03)
    integers = (DATA / "weights" / "README.md").read_text(encoding="utf-8")
    (told,) = [r for r in rows(integers) if f"detector_{model}_int8.onnx" in r[0]]
    assert ap == told[3 if form == "int8" else 4]


def test_hours_of_study_and_minutes_of_running():
    table = [r for r in rows(README) if r[0].startswith("[")]
    assert len(table) == len(course.names())
    hours = sum(int(r[2]) for r in table) / 60
    told = int(re.search(r"About (\d+) hours of study", README)[1])
    assert abs(told - hours) < 2, hours
    run = sum(float(re.sub("<.*?>", "", r[3])) for r in table)
    assert "about ten\nminutes" in README and 5 < run < 14


def test_every_make_target_that_it_names_exists():
    makefile = (course.ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make ([a-z][a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_roads_plot_says_what_was_recorded():
    """The picture's words, from the rows that data/ablations/road.py draws."""
    (told,) = re.findall(r"!\[(AP over milliseconds[^\]]+)\]", README)
    said = re.findall(r", (\d+) kB: (?:AP )?([\d.]+) in ([\d.]+) ms", told)
    files = [
        ("plain", "fp32"), ("plain", "int8"), ("course", "fp32"), ("pruned", "fp32"),
        ("pruned", "int8"),
    ]  # fmt: skip
    records = recorded("ablations/deployment.jsonl")
    for (model, form), (size, ap, ms) in zip(files, said, strict=True):
        mine = [row for row in records if row.get("model") == model]
        shipped = {"fp32": "fp32", "int8": "int8, weights of 7 bits"}[form]
        judged = [row for row in mine if row.get("form") == shipped]
        assert int(size) == round(judged[0]["bytes"] / 1000)
        assert ap == f"{statistics.median(row['ap'] for row in judged):.3f}"
        timed = [r for r in mine if r["kind"] == "latency" and r["size"] == 128]
        assert ms == f"{statistics.median(row[form]['ms'] for row in timed):.1f}"
