"""Rounding with a gradient: the rule that is read, and the fast way, against torch."""

import pytest
import torch

from lib.compression import qat, rounding

GRIDS = [(0.2, 0, -3, 3), (0.05, 0, -7, 7), (0.03, 128, 0, 255), (2.0, 9, 0, 15)]


def values(scale):
    """Ordinary numbers, ties between two steps, edges, huge ones."""
    torch.manual_seed(0)
    ties = (torch.arange(-300, 300) + 0.5) * scale
    few = torch.tensor([0.0, 1e6, -1e6, 1e-30, scale])
    return torch.cat([torch.randn(5000), 100 * torch.randn(1000) * scale, ties, few])


def own(x, scale, zero, low, high):
    """Not the course's: it tells that it was called."""
    own.calls += 1
    return x + (x.clamp(-1, 1) - x).detach()


@pytest.mark.equation("20.1")
@pytest.mark.equation("20.2")
@pytest.mark.parametrize("grid", GRIDS)
def test_the_rule_that_is_read_is_that_of_torch_to_the_bit(grid):
    scale, zero, low, high = grid
    x = values(scale).requires_grad_()
    wanted = torch.fake_quantize_per_tensor_affine(x, scale, zero, low, high)
    step, place = torch.tensor(scale), torch.tensor(float(zero))
    found = rounding.straight_through(x, step, place, low, high)
    assert torch.equal(found, wanted)
    weight = torch.randn(x.shape)
    (theirs,) = torch.autograd.grad(wanted, x, weight)
    (mine,) = torch.autograd.grad(found, x, weight)
    assert torch.equal(mine, theirs)


def test_infinity_is_cut_off_and_not_a_number_is_seen():
    x = torch.tensor([torch.inf, -torch.inf, torch.nan], requires_grad=True)
    back = rounding.straight_through(x, torch.tensor(0.5), torch.tensor(0.0), -7, 7)
    assert back[:2].tolist() == [3.5, -3.5] and back[2].isnan()
    back[:2].sum().backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_another_rule_than_ours_is_called_unless_a_step_is_learned(monkeypatch):
    own.calls = 0
    monkeypatch.setattr(rounding, "straight_through", own)
    stays, learns = (
        qat.FakeQuantize(qat.Scheme(3, axis=None, learned=learned))
        for learned in (False, True)
    )
    grid = qat.QParams(torch.tensor(0.2), torch.tensor(0), -3, 3)
    for module in (stays, learns):
        module.set(grid)
    x = torch.tensor([0.29, 5.0])
    assert stays(x).tolist() == pytest.approx([0.29, 1.0]) and own.calls == 1
    assert learns(x).tolist() == pytest.approx([0.2, 0.6]) and own.calls == 1
    half = stays(x.half())  # one way for both: rounded once, in float32
    assert half.dtype == torch.float16 and own.calls == 2
