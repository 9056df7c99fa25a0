"""What stands round a step: clipping by hand, chance that stays inside."""

import pytest
import torch
from torch import nn

from lib.basics import loops, training
from lib.nas import controller, one_shot, search_space


def three_and_four():
    """Two weights whose loss has the gradient 3 and 4, of length 5."""
    model = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    loss = model(torch.tensor([3.0, 4.0])).sum()
    return model, optimizer, loss


@pytest.mark.parametrize(
    ("clip", "by_hand"),
    [(None, [-3.0, -4.0]), (10.0, [-3.0, -4.0]), (1.0, [-0.6, -0.8])],
)
def test_a_careful_step_by_hand(clip, by_hand):
    model, optimizer, loss = three_and_four()
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    careful = loops.Careful(model, optimizer, scaler, clip)
    model.weight.grad = torch.full((1, 2), 100.0)  # of some step before
    careful.zero_grad()
    loss.backward()
    careful.step()
    torch.testing.assert_close(model.weight.data, torch.tensor([by_hand]))


def test_a_scaled_loss_takes_the_same_step_and_an_overflow_none():
    """Half precision multiplies the loss by 2^16: clipped and stepped as without."""
    for factor, by_hand in ((1.0, [-0.6, -0.8]), (torch.inf, [0.0, 0.0])):
        model, optimizer, loss = three_and_four()
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
        careful = loops.Careful(model, optimizer, scaler, 1.0)
        scaler.scale(factor * loss).backward()
        careful.step()
        torch.testing.assert_close(model.weight.data, torch.tensor([by_hand]))
    assert scaler.get_scale() == 2.0**15  # the overflow halves it


def test_chance_inside_follows_the_seed_and_outside_goes_on():
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    first = torch.rand(1)
    with loops.own_chance(7, torch.device("cpu")):
        inside = torch.rand(1)
    second = torch.rand(1)
    assert torch.equal(torch.cat([first, second]), expected)
    with loops.own_chance(7, torch.device("cpu")):
        assert torch.equal(torch.rand(1), inside)


def test_the_bar_counts_in_plain_text(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_STATIC", "1")
    with loops.bar(2, progress=True) as bar:
        bar.update(2)
    assert capsys.readouterr().out.split("\r")[-1].strip() == "2 of 2 steps"


def fitted(model, images, labels):
    loss = training.classification_loss()
    training.fit(model, (images, labels), loss, epochs=1, batch_size=2, progress=False)


def told(model, images, labels):
    learner = controller.Learner(search_space.SMALL, seed=0)
    learner.update(learner.sample(2), [0.0, 1.0])


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    "needs_gradients",
    [
        fitted,
        told,
        lambda model, *_: one_shot.synflow(model, (3, 8, 8)),
        lambda model, images, _: one_shot.jacobian_covariance(model, images),
    ],
)
def test_where_gradients_are_off_they_are_asked_for_by_name(off, needs_gradients):
    model = training.small_cnn((4, 8), 3)
    before = [p.detach().clone() for p in model.parameters()]
    images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    with off(), pytest.raises(RuntimeError, match="needs gradients.*they are off"):
        needs_gradients(model, images, torch.tensor([0, 1, 2, 0]))
    now = list(model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, now, strict=True))
