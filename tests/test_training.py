"""The equations by hand and against torch; `fit` batch by batch; runs that go wrong."""

import copy
import math
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.basics import checkpoints, training

# --- equations ------------------------------------------------------------------------


@pytest.mark.equation("2.1")
def test_convolution_by_hand():
    image = torch.arange(1.0, 10.0).reshape(3, 3)
    kernel = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    # Top left: 1*1 + 2*2 + 3*4 + 4*5 = 37. A flipped kernel would give 23.
    assert training.convolve(image, kernel).tolist() == [[37, 47], [67, 77]]


@pytest.mark.equation("2.1")
def test_convolution_against_torch():
    g = torch.Generator().manual_seed(0)
    image = torch.randn(7, 9, generator=g)
    kernel = torch.randn(3, 3, generator=g)
    peer = F.conv2d(image[None, None], kernel[None, None])[0, 0]
    assert torch.allclose(training.convolve(image, kernel), peer, atol=1e-5)


@pytest.mark.equation("2.2")
def test_cross_entropy_by_hand():
    # exp(logits) = 1, 2, 5, so the probabilities are 1/8, 2/8, 5/8.
    logits = torch.tensor([[0.0, math.log(2), math.log(5)]])
    right = training.cross_entropy(logits, torch.tensor([2]))
    wrong = training.cross_entropy(logits, torch.tensor([0]))
    assert right.item() == pytest.approx(math.log(8 / 5))
    assert wrong.item() == pytest.approx(math.log(8))
    # Smoothing 0.3 makes the target (0.1, 0.1, 0.8).
    smooth = training.cross_entropy(logits, torch.tensor([2]), 0.3)
    by_hand = 0.1 * math.log(8) + 0.1 * math.log(4) + 0.8 * math.log(8 / 5)
    assert smooth.item() == pytest.approx(by_hand)


@pytest.mark.equation("2.2")
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_cross_entropy_against_torch(smoothing, scale):
    g = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(6, 10, generator=g, dtype=torch.float64)
    logits.requires_grad_(True)
    labels = torch.randint(0, 10, (6,), generator=g)
    mine = training.cross_entropy(logits, labels, smoothing)
    peer = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    assert mine.item() == pytest.approx(peer.item())
    (a,) = torch.autograd.grad(mine, logits)
    (b,) = torch.autograd.grad(peer, logits)
    assert torch.allclose(a, b)


@pytest.mark.equation("2.3")
def test_two_steps_of_momentum_by_hand():
    # f = theta^2 from theta = 1, lr 0.1, momentum 0.9; the gradient is 2 theta.
    theta, velocity = torch.tensor(1.0), torch.tensor(0.0)
    theta, velocity = training.sgd_step(theta, 2 * theta, velocity, 0.1, 0.9)
    assert velocity.item() == pytest.approx(2.0)
    assert theta.item() == pytest.approx(1 - 0.1 * (2 + 1.8))  # 0.62
    theta, velocity = training.sgd_step(theta, 2 * theta, velocity, 0.1, 0.9)
    assert velocity.item() == pytest.approx(0.9 * 2 + 1.24)  # 3.04
    assert theta.item() == pytest.approx(0.62 - 0.1 * (1.24 + 2.736))  # 0.2224


@pytest.mark.equation("2.3")
def test_steps_of_momentum_against_torch():
    mine, velocity = torch.tensor([1.0, -3.0]), torch.zeros(2)
    peer = nn.Parameter(mine.clone())
    optimizer = torch.optim.SGD([peer], lr=0.05, momentum=0.9, nesterov=True)
    for _ in range(5):
        optimizer.zero_grad()
        (peer**2).sum().backward()
        optimizer.step()
        mine, velocity = training.sgd_step(mine, 2 * mine, velocity, 0.05, 0.9)
        assert torch.allclose(mine, peer.detach())


@pytest.mark.equation("2.4")
def test_schedule_by_hand():
    found = [training.warmup_cosine(s, 10, 2) for s in range(11)]
    assert found[:3] == [0.5, 1.0, 1.0]
    assert found[4] == pytest.approx(0.5 + math.sqrt(0.125))  # cos 45 degrees
    assert found[6] == pytest.approx(0.5)  # cos 90 degrees
    assert found[8] == pytest.approx(0.5 - math.sqrt(0.125))
    assert found[10] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.equation("2.4")
def test_schedule_against_torch():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    peer = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=30)
    for step in range(10, 40):
        assert training.warmup_cosine(step, 40, 10) == pytest.approx(
            peer.get_last_lr()[0], abs=1e-9
        )
        optimizer.step()
        peer.step()


@pytest.mark.parametrize("step, total, warmup", [(-1, 9, 0), (10, 9, 0), (0, 9, 9)])
def test_schedule_out_of_range(step, total, warmup):
    with pytest.raises(
        ValueError, match=f"step={step}, total={total}, warmup={warmup}"
    ):
        training.warmup_cosine(step, total, warmup)


class Buffers(nn.Module):
    """One weight, one averaged buffer, one counter."""

    def __init__(self, value: float):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([value]))
        self.register_buffer("mean", torch.tensor([10 * value]))
        self.register_buffer("count", torch.tensor(int(value)))


@pytest.mark.equation("2.5")
def test_average_by_hand():
    ema = training.EMA(Buffers(1.0), decay=0.9)
    ema.update(Buffers(2.0))  # decay (1 + 0) / (10 + 0) = 0.1
    assert ema.model.w.item() == pytest.approx(0.1 * 1 + 0.9 * 2)  # 1.9
    assert ema.model.mean.item() == pytest.approx(19)
    assert ema.model.count.item() == 2  # a counter is copied
    ema.update(Buffers(3.0))  # decay 2/11
    assert ema.model.w.item() == pytest.approx(2 / 11 * 1.9 + 9 / 11 * 3)  # 2.8


@pytest.mark.equation("2.5")
def test_average_reaches_its_decay():
    ema = training.EMA(Buffers(0.0), decay=0.5)
    for _ in range(9):  # (1 + 8) / (10 + 8) = 0.5
        ema.update(Buffers(0.0))
    for by_hand in (4.0, 6.0, 7.0):  # half way to 8, each time
        ema.update(Buffers(8.0))
        assert ema.model.w.item() == pytest.approx(by_hand)


@pytest.mark.equation("2.6")
@pytest.mark.parametrize("other, mean, variance", [(4.0, 3.0, 1.0), (0.0, 1.0, 1.0)])
def test_batch_norm_by_hand(other, mean, variance):
    norm = nn.BatchNorm1d(1, eps=1e-5)
    with torch.no_grad():
        norm.weight.fill_(3.0)  # gamma
        norm.bias.fill_(0.5)  # beta
    batch = torch.tensor([[2.0], [other]])
    by_hand = 3.0 * (2.0 - mean) / math.sqrt(variance + 1e-5) + 0.5
    assert norm(batch)[0].item() == pytest.approx(by_hand, abs=1e-5)
    # Eval mode: a tenth of the way from mean 0 to this batch's; the variance it
    # remembers is the unbiased one, 2, a tenth of the way from 1.
    remembered = 3.0 * (2.0 - 0.1 * mean) / math.sqrt(0.9 + 0.2 + 1e-5) + 0.5
    assert norm.eval()(batch)[0].item() == pytest.approx(remembered, abs=1e-5)


def test_average_is_a_model_of_its_own():
    model = training.small_cnn((4,))
    ema = training.EMA(model)
    assert not ema.model.training and model.training
    assert not any(p.requires_grad for p in ema.model.parameters())
    with torch.no_grad():
        model[0].weight.zero_()
    assert ema.model[0].weight.abs().sum() > 0


# --- the small network and its score --------------------------------------------------


def test_normalise_by_hand():
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(3, 1, 1)
    found = training.normalise(pixels).flatten()
    assert torch.allclose(found, torch.tensor([-1.0, -0.6, 1.0]))
    assert found.dtype == torch.float32


def test_small_cnn_counted_by_hand():
    model = training.small_cnn((16, 32, 64), num_classes=10)
    weights = 3 * 16 * 9 + 16 * 32 * 9 + 32 * 64 * 9 + 2 * (16 + 32 + 64) + 64 * 10 + 10
    assert sum(p.numel() for p in model.parameters()) == weights == 24346
    assert model(torch.zeros(2, 3, 16, 16)).shape == (2, 10)
    with torch.device("meta"):
        assert training.small_cnn((4096,))[0].weight.is_meta


def test_small_cnn_is_a_function_of_its_seed():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    a, b, c = (training.small_cnn((4,), seed=s) for s in (1, 1, 2))
    assert torch.equal(a[0].weight, b[0].weight)
    assert not torch.equal(a[0].weight, c[0].weight)
    assert torch.equal(torch.rand(3), expected)  # the caller's numbers did not move


class Bright(nn.Module):
    """Class 1 for a bright picture, else class 0; notes its mode."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        assert not self.training
        mean = x.mean((1, 2, 3)) + self.bias
        return torch.stack([-mean, mean], dim=1)


def test_accuracy_by_hand():
    images = torch.tensor([0, 200, 255, 10, 130]).byte().reshape(5, 1, 1, 1)
    images = images.expand(5, 3, 4, 4).contiguous()
    labels = torch.tensor([0, 1, 1, 1, 0])  # the last two are wrong
    model = Bright()
    for size in (1, 2, 5, 100):
        assert training.accuracy(model, images, labels, batch_size=size) == 3 / 5
    assert model.training  # put back
    # A half model is asked in its own numbers: 10, 130 and the rest keep their side.
    assert training.accuracy(model.half(), images, labels) == 3 / 5


# --- fit ------------------------------------------------------------------------------


class Line(nn.Module):
    def __init__(self, w=0.0, b=0.0):
        super().__init__()
        self.w, self.b = nn.Parameter(torch.tensor(w)), nn.Parameter(torch.tensor(b))

    def forward(self, x):
        return self.w * x + self.b


def squared(model, batch):
    x, y = batch
    return ((model(x) - y) ** 2).mean(), {}


def fit(model, dataset, loss_fn=squared, **options):
    return training.fit(model, dataset, loss_fn, **{"progress": False} | options)


def batches(dataset, epochs=2, **options):
    """The batches that a run sees, as lists of numbers."""
    seen = []

    def loss_fn(model, batch):
        seen.append(batch[0].tolist())
        return model(batch[0].float()).sum(), {}

    fit(Line(), dataset, loss_fn, epochs=epochs, batch_size=4, **options)
    return seen


TEN = (torch.arange(10), torch.arange(10))


def test_one_step_by_hand():
    # w = b = 0, one sample x = 2, y = 6: loss 36, dw = 2 (0 - 6) 2 = -24, db = -12.
    model = Line()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = (torch.tensor([2.0]), torch.tensor([6.0]))
    history = fit(model, data, steps=1, optimizer=optimizer)
    assert history.loss == [36.0] and history.lr == [0.1]
    assert model.w.item() == pytest.approx(2.4) and model.b.item() == pytest.approx(1.2)


def test_a_training_step_by_hand():
    """w = b = 0, x = 2, y = 6: loss 36, gradient (-24, -12), rate 0.01."""
    model = Line()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for parameter in model.parameters():
        parameter.grad = torch.tensor(100.0)  # left behind by somebody
    batch = (torch.tensor([2.0]), torch.tensor([6.0]))
    loss, logs = training.training_step(model, batch, squared, optimizer)
    assert loss.item() == 36.0 and logs == {}
    assert model.w.item() == pytest.approx(0.24)
    assert model.b.item() == pytest.approx(0.12)
    # Then f(2) = 0.48 + 0.12 = 0.6, so the gradient is (2 * -5.4 * 2, 2 * -5.4).
    training.training_step(model, batch, squared, optimizer)
    assert model.w.item() == pytest.approx(0.24 + 0.216)
    assert model.b.item() == pytest.approx(0.12 + 0.108)


@pytest.mark.parametrize("clip", [None, 1e9])
def test_fit_asks_the_module_for_each_step(monkeypatch, clip):
    """Also where it clips: a limit that is never reached changes no bit."""
    calls, step = [], training.training_step

    def counted(*args):
        calls.append(len(args))
        return step(*args)

    plain = training.small_cnn((4, 8))
    fit(plain, pictures(), training.classification_loss(), steps=5, batch_size=8)
    monkeypatch.setattr(training, "training_step", counted)
    model = training.small_cnn((4, 8))
    options = dict(steps=5, batch_size=8, clip=clip)
    fit(model, pictures(), training.classification_loss(), **options)
    assert calls == [4] * 5
    assert same(plain.state_dict(), model.state_dict())


def test_a_step_with_a_scaled_loss_by_hand(monkeypatch):
    """As on a GPU in half precision: the same step, and it asks the module too."""
    calls, step = [], training.training_step

    def counted(*args):
        calls.append(args)
        return step(*args)

    monkeypatch.setattr(training, "training_step", counted)
    model = Line()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    batch = (torch.tensor([2.0]), torch.tensor([6.0]))
    loss, logs = training._step(model, batch, squared, optimizer, scaler, clip=None)
    assert (loss, logs) == (36.0, {}) and len(calls) == 1
    assert model.w.item() == pytest.approx(0.24)
    assert model.b.item() == pytest.approx(0.12)


def test_an_epoch_shows_each_sample_at_most_once_and_leaves_the_rest_out():
    first, second, third, fourth = batches(TEN)
    for a, b in ((first, second), (third, fourth)):
        assert len(a) == len(b) == 4 and len(set(a + b)) == 8
    assert (first, second) != (third, fourth)


def test_order_is_a_function_of_seed_and_epoch_only():
    assert batches(TEN) == batches(TEN, lr=0.0, clip=1.0)
    assert batches(TEN, epochs=1) == batches(TEN, epochs=3)[:2]
    assert batches(TEN) != batches(TEN, seed=1)
    samples = [(x, x) for x in range(10)]
    assert batches(TEN) == batches(samples)  # held in memory or fetched one by one


def test_collate_makes_the_batch():
    lists = [[1], [2, 3], [4, 5, 6], [7]]  # of uneven length, as boxes are
    seen = []

    def loss_fn(model, batch):
        seen.append(batch)
        return model.w**2, {}

    fit(Line(), lists, loss_fn, epochs=1, batch_size=2, collate=lambda s: {"all": s})
    assert sorted(sum((b["all"] for b in seen), [])) == lists


class Pair(NamedTuple):
    x: torch.Tensor
    boxes: list


def test_a_batch_keeps_its_type():
    seen = []

    def loss_fn(model, batch):
        seen.append(batch)
        return model.w**2, {}

    def collate(samples):
        return Pair(torch.tensor(samples), [torch.tensor([s]) for s in samples])

    fit(Line(), [5, 5], loss_fn, steps=1, collate=collate)
    assert type(seen[0]) is Pair and seen[0].x.tolist() == [5, 5]
    assert [b.tolist() for b in seen[0].boxes] == [[5], [5]]


def test_a_batch_larger_than_the_data_is_all_of_it():
    (only,) = batches((torch.arange(3), torch.arange(3)), epochs=1)
    assert sorted(only) == [0, 1, 2]


def test_rates_follow_the_schedule():
    model = Line()
    groups = [{"params": [model.w], "lr": 1.0}, {"params": [model.b], "lr": 10.0}]
    optimizer, second = torch.optim.Adam(groups), []
    history = fit(
        model, TEN, steps=10, warmup=0.2, optimizer=optimizer,
        on_step=lambda step, logs: second.append(optimizer.param_groups[1]["lr"]),
    )  # fmt: skip
    expected = [training.warmup_cosine(s, 10, 2) for s in range(10)]
    assert history.lr == pytest.approx(expected)
    assert second == pytest.approx([10 * e for e in expected])


def test_weights_decay_norms_and_biases_do_not():
    weights, others = training.parameter_groups(training.small_cnn((4, 8)), 0.1)
    assert [p.ndim for p in weights["params"]] == [4, 4, 2]
    assert [p.ndim for p in others["params"]] == [1] * 5
    assert weights["weight_decay"] == 0.1 and others["weight_decay"] == 0.0


def test_frozen_parameters_are_left_out():
    model = Line()
    model.b.requires_grad_(False)
    groups = training.parameter_groups(model, 0.1)
    assert sum(len(g["params"]) for g in groups) == 1


def test_clipping_bounds_the_step():
    # The gradient is (-24, -12), of norm 26.83; clipped to 1 and times lr 0.5.
    model = Line()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    data = (torch.tensor([2.0]), torch.tensor([6.0]))
    fit(model, data, steps=1, optimizer=optimizer, clip=1.0)
    assert math.hypot(model.w.item(), model.b.item()) == pytest.approx(0.5, rel=1e-4)
    assert model.w.item() == pytest.approx(2 * model.b.item())


def test_logs_and_on_step():
    def loss_fn(model, batch):
        return model.w**2, {"half": torch.tensor(0.5), "one": 1}

    seen = []
    history = fit(
        Line(2.0), TEN, loss_fn, steps=3, on_step=lambda *both: seen.append(both)
    )
    assert [step for step, _ in seen] == [0, 1, 2]
    assert seen[0][1] == {"loss": 4.0, "lr": 0.1, "half": 0.5, "one": 1.0}
    assert history.logs == {"half": [0.5] * 3, "one": [1.0] * 3}
    assert [logs["loss"] for _, logs in seen] == history.loss


def test_the_average_follows_every_step():
    model, weights = Line(), []
    ema = training.EMA(model, 0.9)
    fit(
        model, (torch.ones(4), torch.ones(4)), steps=2, ema=ema, lr=0.1,
        on_step=lambda step, logs: weights.append(model.w.item()),
    )  # fmt: skip
    first = 0.1 * 0 + 0.9 * weights[0]
    assert ema.model.w.item() == pytest.approx(2 / 11 * first + 9 / 11 * weights[1])


def test_augment_draws_from_its_own_generator():
    def noise(batch, generator):
        return (batch[0] + torch.rand(4, generator=generator), batch[1])

    a, b = batches(TEN, augment=noise), batches(TEN, augment=noise)
    assert a == b and len({x % 1 for batch in a for x in batch}) == 16
    assert [[math.floor(x) for x in batch] for batch in a] == batches(TEN)


def test_chance_inside_is_a_function_of_the_seed_and_stays_inside():
    def loss_fn(model, batch):
        return model.w * torch.rand(()), {}

    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    a = fit(Line(1.0), TEN, loss_fn, steps=3)
    b = fit(Line(1.0), TEN, loss_fn, steps=3)
    c = fit(Line(1.0), TEN, loss_fn, steps=3, seed=1)
    assert a.loss == b.loss != c.loss
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(
    "options, says",
    [
        ({}, "steps=None, epochs=None"),
        ({"steps": 0}, "steps=0"),
        ({"epochs": 1, "steps": 1}, "steps=1, epochs=1"),
        ({"epochs": 1, "batch_size": 0}, "batch_size=0"),
    ],
)
def test_what_fit_needs(options, says):
    with pytest.raises(ValueError, match=says):
        fit(Line(), TEN, **options)


def test_no_samples():
    with pytest.raises(ValueError, match="0 samples"):
        fit(Line(), [], steps=1)


def test_the_bar_is_plain_text_where_nobody_watches(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_STATIC", "1")
    fit(Line(), TEN, steps=3, progress=True)
    assert capsys.readouterr().out.split("\r")[-1].strip() == "3 of 3 steps"
    fit(Line(), TEN, steps=3, progress=False)
    assert capsys.readouterr().out == ""


def test_a_small_network_learns_by_heart():
    # 60 random pictures with random labels: only remembering helps. Guessing gives 0.1.
    g = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 3, 8, 8), generator=g, dtype=torch.uint8)
    labels = torch.arange(60) % 10
    model = training.small_cnn((16, 32))
    loss_fn = training.classification_loss()
    history = fit(model, (images, labels), loss_fn, steps=150, batch_size=30, lr=0.2)
    assert training.accuracy(model, images, labels) > 0.9
    assert history.logs["accuracy"][-1] > 0.9
    assert not model.training


# --- runs that go wrong ---------------------------------------------------------------


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def pictures(n=40):
    g = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (n, 3, 8, 8), generator=g, dtype=torch.uint8)
    return images, torch.arange(n) % 10


def poisoned(step_to_break, where):
    """The usual loss, but at one call it, its input or its gradient is not finite."""
    calls = {"n": 0}
    usual = training.classification_loss()

    def loss_fn(model, batch):
        calls["n"] += 1
        if calls["n"] - 1 != step_to_break:
            return usual(model, batch)
        if where == "input":  # the NaN passes through batch norm's running means
            logits = model(training.normalise(batch[0]) * math.nan)
            return training.cross_entropy(logits, batch[1]), {}
        loss, logs = usual(model, batch)
        if where == "gradient":  # finite loss, infinite gradient: sqrt at 0
            return loss + (model[0].weight - model[0].weight).sum().sqrt(), logs
        return loss * math.inf, logs

    return loss_fn


@pytest.mark.parametrize("where", ["input", "loss", "gradient"])
def test_a_loss_that_is_not_finite_stops_with_the_last_good_state(tmp_path, where):
    model, ema_states, states = training.small_cnn((4, 8)), {}, {}
    ema = training.EMA(model, 0.9)

    def remember(step, logs):
        states[step + 1] = copy.deepcopy(model.state_dict())
        ema_states[step + 1] = copy.deepcopy(ema.model.state_dict())

    with pytest.raises(training.NonFiniteLoss) as caught:
        fit(
            model, pictures(), poisoned(8, where), steps=20, batch_size=8, every=3,
            ema=ema, on_step=remember, checkpoint=tmp_path / "run.pt",
        )  # fmt: skip
    error = caught.value
    # A bad gradient spoils the weights, and the loss of the step after shows it.
    assert error.step == (9 if where == "gradient" else 8)
    assert not math.isfinite(error.loss) and error.lr > 0
    assert error.kept == 6  # saved before step 6, and the loss of step 6 was finite
    assert f"at step {error.step} " in str(error) and "lr" in str(error)
    assert same(model.state_dict(), states[6])
    assert same(ema.model.state_dict(), ema_states[6])
    saved = torch.load(tmp_path / "run.pt", weights_only=True)
    assert saved["step"] == 6 and same(saved["model"], states[6])
    assert len(saved["history"]["loss"]) == 6


def test_a_loss_that_is_never_finite_leaves_the_first_weights():
    model = training.small_cnn((4, 8))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(
        training.NonFiniteLoss, match="the loss is not finite at step 0"
    ):
        fit(model, pictures(), poisoned(0, "input"), steps=5)
    assert same(model.state_dict(), before)


def test_the_very_last_update_is_checked_too():
    model = training.small_cnn((4, 8))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(training.NonFiniteLoss, match=r"0\.weight is not finite"):
        fit(model, pictures(), poisoned(4, "gradient"), steps=5)
    assert same(model.state_dict(), before)


def test_a_rate_far_too_high():
    model = Line()
    with pytest.raises(training.NonFiniteLoss):
        fit(model, (torch.ones(4), torch.ones(4)), steps=500, lr=1e3, warmup=0.0)
    assert math.isfinite(model.w.item())


# --- going on -------------------------------------------------------------------------


def run(path, model=None, **options):
    model = model or training.small_cnn((4, 8))
    options = {"steps": 12, "batch_size": 8, "every": 3} | options
    loss_fn = options.pop("loss_fn", training.classification_loss(0.1))
    data = options.pop("data", pictures())
    history = fit(model, data, loss_fn, checkpoint=path, **options)
    return model.state_dict(), history


class Stop(Exception):
    pass


def stop_after(last):
    def on_step(step, logs):
        if step == last:
            raise Stop

    return on_step


@pytest.mark.parametrize("last", [0, 3, 7, 11])
def test_interrupted_and_resumed(tmp_path, last):
    whole, history = run(tmp_path / "whole.pt")
    with pytest.raises(Stop):
        run(tmp_path / "run.pt", on_step=stop_after(last))
    other = training.small_cnn((4, 8), seed=99)  # its weights come from the file
    resumed, again = run(tmp_path / "run.pt", None if last == 0 else other)
    assert same(whole, resumed)
    assert again.loss == history.loss and again.lr == history.lr
    assert again.logs == history.logs
    assert again.resumed_at == {0: 0, 3: 3, 7: 6, 11: 9}[last]


def test_a_checkpoint_changes_nothing(tmp_path):
    assert same(run(None)[0], run(tmp_path / "run.pt")[0])


def test_every_0_saves_at_the_end_alone(tmp_path, monkeypatch):
    saved = []
    keep = checkpoints.ResumableRun.keep
    monkeypatch.setattr(
        checkpoints.ResumableRun,
        "keep",
        lambda run, state: (saved.append(state["step"]), keep(run, state)),
    )
    run(tmp_path / "run.pt", every=0)
    assert len(saved) == 1 and (tmp_path / "run.pt").exists()


def test_a_batch_is_a_function_of_seed_and_step(tmp_path):
    """In whatever order steps are asked, also by another object."""
    samples = (torch.arange(23),)
    one = training.Batches(samples, 4, None, seed=3)
    two = training.Batches(samples, 4, None, seed=3)
    assert one.per_epoch == 5  # 23 // 4, three are left out
    in_order = [one.at(step)[0].tolist() for step in range(15)]
    for step in (14, 0, 7, 7, 3):
        assert two.at(step)[0].tolist() == in_order[step]
    for epoch in range(3):
        shown = sum(in_order[5 * epoch : 5 * epoch + 5], [])
        assert len(set(shown)) == 20
    draws = [torch.rand(1, generator=one.chance(step)).item() for step in range(15)]
    assert len(set(draws)) == 15


def test_a_finished_run_is_taken_as_it_is(tmp_path):
    whole, history = run(tmp_path / "run.pt")

    def never(model, batch):
        raise AssertionError

    never.__qualname__ = training.classification_loss().__qualname__
    never.settings = {"smoothing": 0.1}
    again, same_history = run(tmp_path / "run.pt", loss_fn=never)
    assert same(whole, again) and same_history.loss == history.loss
    assert same_history.resumed_at == 12


@pytest.mark.parametrize(
    "options, says",
    [
        ({"steps": 13}, "steps: 12 there, 13 here"),
        ({"batch_size": 4}, "batch: 8 there, 4 here"),
        ({"seed": 2}, "seed: 0 there, 2 here"),
        ({"clip": 1.0}, "clip: None there, 1.0 here"),
        ({"lr": 0.2}, "lr of parameter group 0: 0.1 there, 0.2 here"),
        ({"loss_fn": training.classification_loss(0.2)}, "smoothing: 0.1 there, 0.2"),
        ({"data": pictures(39)}, "samples: 40 there, 39 here"),
        ({"data": (255 - pictures()[0], pictures()[1])}, "checksums of the data"),
        ({"model": training.small_cnn((4, 9))}, "model: "),
    ],
)
def test_another_runs_checkpoint_is_refused(tmp_path, options, says):
    run(tmp_path / "run.pt")
    with pytest.raises(ValueError, match=rf"run\.pt belongs to a run with.*{says}"):
        run(tmp_path / "run.pt", **options)


def test_another_optimizer_or_average_is_refused(tmp_path):
    run(tmp_path / "run.pt")
    model = training.small_cnn((4, 8))
    adam = torch.optim.AdamW(training.parameter_groups(model, 5e-4), lr=0.1)
    with pytest.raises(ValueError, match="optimizer: SGD there, AdamW here"):
        run(tmp_path / "run.pt", model, optimizer=adam)
    with pytest.raises(ValueError, match="ema: None there, 0.9 here"):
        run(tmp_path / "run.pt", model, ema=training.EMA(model, 0.9))


def test_adamw_resumes_too(tmp_path):
    def go(path, **options):
        model = training.small_cnn((4, 8))
        adam = torch.optim.AdamW(training.parameter_groups(model, 0.01), lr=0.01)
        return run(path, model, optimizer=adam, **options)[0]

    with pytest.raises(Stop):
        go(tmp_path / "run.pt", on_step=stop_after(7))
    assert same(go(tmp_path / "run.pt"), go(tmp_path / "whole.pt"))


def test_after_resuming_the_last_good_state_is_the_resumed_one(tmp_path):
    with pytest.raises(Stop):
        run(tmp_path / "run.pt", on_step=stop_after(7))
    loss_fn = poisoned(1, "loss")  # its second call, step 7
    loss_fn.__qualname__ = training.classification_loss().__qualname__
    loss_fn.settings = {"smoothing": 0.1}
    model = training.small_cnn((4, 8), seed=99)
    with pytest.raises(training.NonFiniteLoss) as caught:
        run(tmp_path / "run.pt", model, loss_fn=loss_fn)
    assert (caught.value.step, caught.value.kept) == (7, 6)
    saved = torch.load(tmp_path / "run.pt", weights_only=True)
    assert saved["step"] == 6 and same(model.state_dict(), saved["model"])


def test_fit_says_which_argument_it_cannot_work_with():
    """Parts of other lengths: samples without a partner were left out in silence."""
    images, labels = torch.zeros(8, 3, 8, 8, dtype=torch.uint8), torch.zeros(8).long()
    good = dict(dataset=(images, labels), steps=1, batch_size=4, progress=False)
    for wrong, words in (
        ({"dataset": (images[:6], labels)}, r"dataset has parts of \[6, 8\] samples"),
        ({"dataset": (images, labels[:6])}, r"dataset has parts of \[8, 6\] samples"),
        ({"dataset": {"images": images}}, "dataset is .*; it must be a tuple"),
        ({"dataset": []}, "dataset has 0 samples"),
        ({"loss_fn": 3}, "loss_fn is 3; it must be a function"),
        ({"steps": 2.5}, "steps is 2.5; it must be a whole number"),
        ({"batch_size": "4"}, "batch_size is '4'"),
        ({"warmup": None}, "warmup is None"),
        ({"clip": "1"}, "clip is '1'"),
        ({"every": None}, "every is None"),
        ({"lr": -1.0}, "lr is -1.0; it must be a finite number, 0 or more"),
    ):
        given = {"loss_fn": training.classification_loss(), **good, **wrong}
        with pytest.raises(ValueError, match="^" + words):
            training.fit(training.small_cnn((4,), 2), **given)
    with pytest.raises(ValueError, match="^model is None"):
        training.fit(None, loss_fn=training.classification_loss(), **good)
