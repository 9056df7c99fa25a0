"""What a milestone says of a run: calls counted by hand."""

import pytest
import torch

from lib.book import milestones, pages
from lib.exercises import core, places
from lib.nas import controller

ID = "controller.reinforce_objective"
LOG_P, REWARDS = torch.tensor([-0.5, -2.5]), torch.tensor([1.0, 3.0])


def mine(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) * log_p).mean()


@pytest.fixture
def shown(monkeypatch):
    """Texts of what was displayed; no function stays adopted."""
    texts = []
    monkeypatch.setattr(pages, "display", lambda b, raw: texts.append(b["text/plain"]))
    yield texts
    places.restore()


def adopt():
    places.adopt(ID, core()[ID].place, mine)


def use(times):
    for _ in range(times):
        controller.reinforce_objective(LOG_P, REWARDS, 2.0)


def test_calls_of_the_block_alone_are_counted(shown):
    adopt()
    use(2)
    with milestones.milestone(8, 8) as run:
        use(3)
    use(1)
    assert run.calls == {ID: 3}
    table, said = shown
    (row,) = [line for line in table.splitlines() if ID in line]
    assert row.endswith("yours         3")
    of_08 = [i for i in core() if i.startswith("controller.")]
    assert all(i in table for i in of_08) and run.parts == len(of_08)
    assert said.startswith(f"1 of {len(of_08)} core functions of chapters 08 to 08")
    assert "called 3 times" in said


def test_what_is_adopted_in_the_block_counts_from_its_adoption(shown):
    adopt()
    use(2)
    with milestones.milestone(7, 9) as run:
        use(4)
        adopt()
        use(1)
    assert run.calls == {ID: 1}


def test_without_a_function_of_the_learner_it_says_whose_ran(shown):
    with milestones.milestone(8, 8) as run:
        use(5)
    assert run.calls == {} and "yours" not in shown[0]
    assert "0 of" in shown[1] and "the course's own" in shown[1]


def test_other_chapters_stay_out_and_errors_go_through(shown):
    adopt()
    with milestones.milestone(11, 11) as run:
        use(1)
    assert run.calls == {} and run.parts == sum(
        e.number.startswith("11.") for e in core().values()
    )
    with pytest.raises(ZeroDivisionError), milestones.milestone(8, 8):
        1 / 0  # noqa: B018
    assert len(shown) == 2  # of the first block
