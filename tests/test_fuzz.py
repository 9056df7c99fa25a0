"""A hundred random networks, and the harness of `make fuzz` itself."""

import random
import time

import pytest
import torch
from torch import nn

from lib.basics import checkpoints, photographs
from lib.compression import operators
from tests import fuzz, networks


@pytest.mark.parametrize("tens", range(10))
def test_random_networks_agree_in_all_four_forms(tens):
    """Model, flat graph, file of floats, file with Q and DQ; ten a test, no refusal."""
    for number in range(10 * tens, 10 * tens + 10):
        assert fuzz.one("networks", number) == "agrees", number


@pytest.mark.parametrize("target", ["pictures", "coco", "files"])
def test_mangled_files_are_read_right_or_refused_by_name(target, capsys):
    counts = fuzz.run(target, range(100), 600)
    assert not counts["FAILED"], capsys.readouterr().out
    assert counts["refused"] > 30 and counts["read"] > 10


def test_a_reader_that_forgets_the_turn_is_met(monkeypatch, capsys):
    monkeypatch.setattr(photographs, "TURNS", {})
    assert fuzz.run("pictures", range(60), 600)["FAILED"]
    assert "other pixels" in capsys.readouterr().out


def test_a_reader_that_compares_no_checksums_is_met(monkeypatch, capsys):
    monkeypatch.setattr(checkpoints, "check_archive", lambda path: None)
    assert fuzz.run("files", range(200), 600)["FAILED"]
    assert "other weights" in capsys.readouterr().out


def test_so_many_are_tried_however_long_they_take(monkeypatch):
    monkeypatch.setitem(fuzz.TARGETS, "fast", lambda rng: "agrees")
    assert fuzz.run("fast", range(100), -1, least=7).total() == 7


def test_a_case_is_the_same_wherever_it_runs():
    one, other = (
        networks.random_network(random.Random("networks 3"), 3, (8, 8)) for _ in "ab"
    )
    assert one.says == other.says
    assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


def test_a_wrong_rule_is_met(monkeypatch):
    """A file that forgets its sigmoids is not written, or not said to agree."""
    wrong = {torch.ops.aten.sigmoid.default: lambda g, node, x: g.names[x]}
    monkeypatch.setattr(operators, "OPERATORS", operators.OPERATORS | wrong)

    def only_yolo(rng, channels, size):
        network = networks.Network()
        networks.yolo_head(network, rng, torch.zeros(1, channels, *size))
        return network.eval()

    monkeypatch.setattr(networks, "random_network", only_yolo)
    assert "differs from the graph's" in fuzz.one("networks", 0)


def test_counts_failures_and_time(monkeypatch, capsys):
    def target(rng):
        if rng.random() < 0.5:
            return "refused: by chance"
        raise ValueError("no luck")

    monkeypatch.setitem(fuzz.TARGETS, "coin", target)
    assert fuzz.main(["coin", "--count", "20"]) == 1
    said = capsys.readouterr().out
    counts = fuzz.run("coin", range(20), 60)
    assert counts.total() == 20 and counts["FAILED"] and counts["refused"]
    assert "coin: 20 cases in 0 s: " in said and f"{counts['FAILED']} FAILED" in said
    assert "no luck" in said and "coin, case " in said
    assert f"    {counts['refused']} refused: by chance\n" in said
    monkeypatch.setitem(fuzz.TARGETS, "sizes", lambda rng: f"refused: {rng.random()} m")
    assert fuzz.main(["sizes", "--count", "5"]) == 0
    assert "sizes: 5 cases in 0 s: 5 refused\n    5 refused: # m\n" in (
        capsys.readouterr().out
    )
    begin = time.monotonic()
    monkeypatch.setitem(fuzz.TARGETS, "slow", lambda rng: time.sleep(0.05) or "done")
    assert fuzz.main(["slow", "--minutes", "0.005"]) == 0
    assert time.monotonic() - begin < 5
    with pytest.raises(SystemExit):
        fuzz.main(["nothing"])


@pytest.mark.skipif(not hasattr(fuzz.signal, "SIGALRM"), reason="needs alarms")
def test_a_case_that_hangs_is_a_failure(monkeypatch):
    monkeypatch.setattr(fuzz, "LIMIT", 1)
    monkeypatch.setitem(fuzz.TARGETS, "hang", lambda rng: time.sleep(30))
    assert fuzz.run("hang", [0], 60) == {"FAILED": 1}


def test_every_head_and_block_is_drawn():
    """In forty draws; a layer to round stands first in each."""
    rng, heads = random.Random(0), set()
    for _ in range(40):
        network = networks.random_network(rng, rng.randint(1, 4), (9, 12))
        heads.add(network.says[-1].partition(",")[0])
        assert isinstance(network.parts[0], nn.Conv2d)
    assert heads == {"SSD", "RetinaNet", "YOLO", "classifier", "dictionary"}
