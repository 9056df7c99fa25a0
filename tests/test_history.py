"""What a search has cost is kept, whatever ends it."""

import numpy as np
import pytest
import torch

from lib.nas import controller, history, search
from lib.nas.search_space import FOUND, SMALL

METHODS = {
    "random": search.random_search,
    "evolution": search.regularized_evolution,
    "local": search.local_search,
    "controller": controller.search,
    "nsga2": lambda *args: search.nsga2(*args, price=lambda genotype: 1.0),
    "halving": lambda *args: search.successive_halving(*args, rungs=(1, 2)),
}


def fails_at(number: int, error: BaseException):
    """An `evaluate` of 0.01, 0.02, and so on, that raises at one question."""
    asked = []

    def evaluate(genotype, epoch=None):
        asked.append(genotype)
        if len(asked) == number:
            raise error
        return len(asked) / 100

    return evaluate, asked


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize(
    "error", [MemoryError("no room"), KeyboardInterrupt()], ids=["error", "Ctrl-C"]
)
def test_nothing_is_lost_when_evaluate_raises(method, error):
    evaluate, asked = fails_at(30, error)
    with pytest.raises(type(error)) as caught:
        method(SMALL, evaluate, 100, 0)
    assert caught.value is error  # the caller's own, not another one
    kept = error.history
    assert [trial.genotype for trial in kept.trials] == asked[:29]
    assert [trial.value for trial in kept.trials] == [k / 100 for k in range(1, 30)]
    assert kept.best.value == 0.29
    assert error.__notes__[-1].startswith("The 29 trials before it are kept")


@pytest.mark.parametrize("answer", [float("nan"), float("inf"), None, "0.5", [1, 2]])
def test_an_answer_that_is_no_finite_number_names_itself_and_keeps_the_rest(answer):
    answers = iter([0.1, 0.2, answer])
    with pytest.raises(ValueError, match="evaluate gave .* a finite number") as caught:
        search.random_search(SMALL, lambda genotype: next(answers), 5, 0)
    assert caught.value.history.best_so_far() == [0.1, 0.2]


@pytest.mark.parametrize("price", [float("nan"), float("-inf"), None])
def test_a_price_that_is_no_finite_number_is_refused(price):
    with pytest.raises(ValueError, match="price gave .* a finite number") as caught:
        search.nsga2(
            SMALL, lambda genotype: 0.5, 60, 0, price=lambda genotype: price,
            population=10,
        )  # fmt: skip
    assert len(caught.value.history) == 10


def test_a_population_that_nobody_can_die_in_is_refused():
    with pytest.raises(ValueError, match=r"dies\(population\) is 4; .*, 0 to 3") as e:
        search.regularized_evolution(
            SMALL, lambda genotype: 0.5, 9, 0, population=3, dies=len
        )
    assert len(e.value.history) == 4


def test_a_log_by_hand():
    log = history.Log(lambda genotype, epoch: epoch / 10, 2)
    assert log.open() and len(log.history()) == 0
    log.ask(FOUND, 3.0, 3)
    assert log.ask(FOUND, 2.0, 5) == history.Trial(FOUND, 0.5, 2.0, 5)
    assert not log.open()
    assert log.history().best_so_far() == [0.3, 0.5]
    assert log.history().distinct() == [1, 1]


def test_longer_trained_is_better_and_a_tie_goes_to_the_first():
    trials = [
        history.Trial(FOUND, value, 1.0, epoch)
        for value, epoch in ((0.9, 1), (0.2, 4), (0.2, 4), (0.8, 2), (0.3, 4))
    ]
    best = history.History(tuple(trials)).incumbents()
    assert [trials.index(trial) for trial in best] == [0, 1, 1, 1, 4]
    assert best[2] is trials[1]


def test_the_callers_random_numbers_stay_put():
    """Those of `random` too, but beartype draws from them while tests run."""
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    for method in METHODS.values():
        method(SMALL, lambda genotype, epoch=None: 0.5, 40, 0)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
