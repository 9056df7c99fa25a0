"""Scripts about the table: what a seed brings, who wins with and without noise."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lib.nas import history, search_space, tabular
from lib.nas.search_space import Space

FOLDER = Path(__file__).resolve().parents[1] / "data" / "ablations"
SPACE = Space(1, ("identity", "max3"), cells=("normal",))


def script(name):
    sys.path.append(str(FOLDER))  # it imports its neighbour, the ledger
    spec = importlib.util.spec_from_file_location(
        f"script_{name}", FOLDER / f"{name}.py"
    )
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


seed_effect, verdict, pilot = map(script, ("seed_effect", "verdict", "pilot"))


def test_effects_by_hand():
    """Seed 0 as stem is worth 10 points, as order 30; both together 4 more."""
    accuracy = np.zeros((3, 2, 2, 2))  # cells, stem, cells' weights, order
    accuracy[:, 0] += 0.10
    accuracy[..., 0] += 0.30
    accuracy[:, 0, :, 0] += 0.04
    accuracy += np.array([0.1, 0.2, 0.4])[:, None, None, None]  # what a cell is worth
    found = seed_effect.effects(accuracy)
    # Half of what both bring together shows in each, half in their product.
    by_hand = {"stem": 12.0, "order": 32.0, "stem x order": 2.0}
    for name, (effect, error) in found.items():
        assert effect == pytest.approx(by_hand.get(name, 0), abs=1e-9)
        assert error == pytest.approx(0, abs=1e-9)
    assert len(found) == 7


def test_a_crossed_network_has_both_seeds():
    task = tabular.Task(space=SPACE, filters=2, stem_filters=4)
    genotype = search_space.from_text(str(search_space.enumerate_cells(SPACE)[2]))
    crossed = seed_effect.first_network(task, genotype, stem=1, cells=0).state_dict()
    for name, value in crossed.items():
        seed = 1 if name.startswith("stem") else 0
        wanted = tabular.network(task, genotype, seed).state_dict()[name]
        assert torch.equal(value, wanted), name
    same = seed_effect.first_network(task, genotype, stem=3, cells=3).state_dict()
    for name, value in tabular.network(task, genotype, 3).state_dict().items():
        assert torch.equal(value, same[name]), name


def made_up():
    """Three cells, two seeds, of 10 crops: the third is best, the first lucky once."""
    task = tabular.Task(
        space=SPACE, validation=10, test=10, epochs=1, seeds=2, train=16, batch=8
    )
    counts = ([[9], [1]], [[6], [6]], [[7], [7]])
    cells = search_space.enumerate_cells(SPACE)[:3]
    rows = [
        {"cell": str(cell), "parameters": 1, "macs": 1, "validation": c, "test": c}
        for cell, c in zip(cells, counts, strict=True)
    ]
    return tabular.Table(task, rows)


def test_three_answers_of_one_search_by_hand(monkeypatch):
    table = made_up()
    monkeypatch.setattr(verdict, "BUDGETS", (2, 3))
    told = verdict.trainings(table, 0, "all")
    looks = [0.9, 0.6, 0.7]  # the first cell at its luckiest
    trials = [
        history.Trial(g, look) for g, look in zip(table.genotypes, looks, strict=True)
    ]
    one = history.History(tuple(trials))
    # One noisy look names the lucky cell, worth 0.5; a final the best of those seen.
    by_look = verdict.answers(told, one, "one noisy look")
    by_final = verdict.answers(told, one, "noisy with a final")
    assert by_look == pytest.approx([0.5, 0.5])
    assert by_final == pytest.approx([0.6, 0.7])


def test_a_fresh_judge_is_a_training_that_chose_nothing():
    table = made_up()
    first = table.genotypes[0]
    for seed in range(4):
        told = verdict.trainings(table, seed, "fresh")
        assert told.judges == (seed % 2,) and told.seeds == (1 - seed % 2,)
        assert told.worth(first) == pytest.approx([0.9, 0.1][seed % 2])
        assert told.known(first) == pytest.approx([0.1, 0.9][seed % 2])


def test_the_pilot_takes_cells_of_all_ranks_and_of_the_best():
    """Of 735 cells the ranks 0 to 734, 52 or 53 apart, and the last 73, 5 apart."""
    table = tabular.load()
    worth = {str(g.normal): table.query(g, split="test") for g in table.genotypes}
    ranked = sorted(worth, key=worth.get)
    picked = pilot.chosen(table)
    places = {"all": [], "best": []}
    for group, text in picked:
        places[group].append(ranked.index(text))
    assert sorted(places["all"])[::14] == [0, 734]
    assert set(np.diff(sorted(places["all"]))) <= {52, 53}
    assert min(places["best"]) == 662 and max(places["best"]) == 734
    assert len(set(places["best"])) == 15
