"""The controller against hands, listed distributions and torch's own LSTM."""

import dataclasses
import math
import random

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector

from lib.nas import controller, search_space

TOY = search_space.Space(2, ("max3", "sep3"), cells=("normal",))  # 576 sequences
TWO = search_space.Space(1, ("identity",), cells=("normal",))  # two choices of an input


def made_up(space, seed, mean=0.75, spread=0.05):
    """Rewards of all sequences: one random weight for each decision, added up."""
    tokens = controller.all_tokens(space)
    generator = torch.Generator().manual_seed(1000 + seed)
    weights = torch.randn(tokens.shape[1], int(tokens.max()) + 1, generator=generator)
    total = weights.gather(1, tokens.T).sum(dim=0)
    return tokens, mean + spread * (total - total.mean()) / total.std(correction=0)


def even(space):
    """A controller with all weights 0: every softmax is even."""
    policy = controller.Controller(space)
    for weight in policy.parameters():
        nn.init.zeros_(weight)
    return policy


def leaning(space, seed=0):
    """A controller that has begun to prefer something: weights five times as large."""
    policy = controller.Controller(space, seed=seed)
    with torch.no_grad():
        for weight in policy.parameters():
            weight.mul_(5.0)
    return policy


def direction(policy, seed):
    size = sum(p.numel() for p in policy.parameters())
    way = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    return way / way.norm()


# ------------------------------------------------------------------------ the policy


@pytest.mark.equation("8.1")
def test_log_probability_of_an_even_and_of_a_leaning_policy_by_hand():
    policy = even(TOY)
    tokens = controller.all_tokens(TOY)
    # Eight open decisions: inputs of 2, 2, 3, 3 options, four operations of 2.
    assert len(tokens) == 2 * 2 * 3 * 3 * 2**4
    log_p, _ = policy(tokens)
    torch.testing.assert_close(log_p, torch.full((576,), -math.log(576)))
    with torch.no_grad():  # the first input: three times as likely to be state 1
        policy.heads[0].bias.copy_(torch.tensor([0.0, math.log(3)]))
    log_p, _ = policy(tokens)
    by_hand = torch.where(tokens[:, 0] == 1, 0.75, 0.25) / 288
    torch.testing.assert_close(log_p.exp(), by_hand)


@pytest.mark.equation("8.1")
def test_log_probability_agrees_with_torch_s_lstm():
    """The same weights in nn.LSTM, run over the whole sequence at once."""
    policy = leaning(TOY)
    other = nn.LSTM(100, 100, batch_first=True)
    with torch.no_grad():
        for name, weight in policy.cell.named_parameters():
            getattr(other, f"{name}_l0").copy_(weight)
    tokens = controller.all_tokens(TOY)[::7]
    is_open = [0, 1, 2, 3, 5, 6, 7, 8]  # 4 and 9 are combinations: one option
    sizes = [2, 2, 2, 2, 1, 3, 3, 2, 2, 1]
    rows = [torch.zeros(len(tokens), dtype=torch.long)]
    for t in is_open[:-1]:
        rows.append(1 + sum(sizes[:t]) + tokens[:, t])
    states, _ = other(policy.embedding(torch.stack(rows, dim=1)))
    total = 0.0
    for k, t in enumerate(is_open):
        loss = nn.functional.cross_entropy(
            policy.heads[k](states[:, k]), tokens[:, t], reduction="none"
        )
        total = total - loss
    torch.testing.assert_close(policy(tokens)[0], total, atol=1e-5, rtol=1e-5)


@pytest.mark.equation("8.1")
def test_log_probability_of_a_sequence_by_hand():
    """Two rows, decisions of two and of three options."""
    first = torch.tensor([[0.75, 0.25], [0.5, 0.5]]).log()
    second = torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.3, 0.5]]).log()
    taken = [torch.tensor([0, 1]), torch.tensor([1, 2])]
    log_p = controller.sequence_log_prob([first, second], taken)
    torch.testing.assert_close(log_p.exp(), torch.tensor([0.1875, 0.25]))


@pytest.mark.parametrize("space", [TOY, search_space.SMALL])
def test_probabilities_of_all_sequences_sum_to_one(space):
    tokens = controller.all_tokens(space)
    assert len(tokens) == search_space.raw_count(space)
    for policy in (controller.Controller(space), leaning(space)):
        assert policy(tokens)[0].exp().sum().item() == pytest.approx(1, abs=1e-4)


@pytest.mark.equation("8.6")
def test_entropy_by_hand_and_by_enumeration():
    tokens = controller.all_tokens(TOY)
    _, entropy = even(TOY)(tokens)
    torch.testing.assert_close(entropy, torch.full((576,), math.log(576)))
    log_p, entropy = leaning(TOY)(tokens)
    whole = -(log_p.exp() * log_p).sum()  # the definition, over all sequences
    assert whole < math.log(576) - 0.1
    torch.testing.assert_close((log_p.exp() * entropy).sum(), whole)


def test_samples_follow_the_policy():
    policy = leaning(TOY)
    tokens = controller.all_tokens(TOY)
    probability = policy(tokens)[0].exp().detach()
    drawn = policy.sample(20_000, torch.Generator().manual_seed(0))
    assert drawn.dtype == torch.int64 and drawn.shape == (20_000, 10)
    for t in (0, 1, 2, 3, 5, 6, 7, 8):
        for option in range(int(tokens[:, t].max()) + 1):
            p = probability[tokens[:, t] == option].sum().item()
            found = (drawn[:, t] == option).float().mean().item()
            assert abs(found - p) <= 4 * math.sqrt(p * (1 - p) / 20_000)
    assert not drawn[:, [4, 9]].any()  # one option: nothing to draw
    both = (drawn[:, 0] == 1) & (drawn[:, 8] == 1)  # the first and the last together
    p = probability[(tokens[:, 0] == 1) & (tokens[:, 8] == 1)].sum().item()
    assert abs(both.float().mean().item() - p) <= 4 * math.sqrt(p * (1 - p) / 20_000)


def test_the_size_is_as_published_and_meta_works():
    with torch.device("meta"):
        policy = controller.Controller(search_space.FULL)
    assert len(policy.heads) == 50  # five decisions for each of two times five blocks
    assert policy.cell.weight_hh.shape == (400, 100)  # four gates of 100 units
    weights = parameters_to_vector(controller.Controller(TOY).parameters())
    assert -0.1 <= weights.min() < -0.099 and 0.099 < weights.max() < 0.1


def test_tokens_of_another_space_are_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 5\); a row has 10"):
        controller.Controller(TOY)(torch.zeros(3, 5, dtype=torch.long))
    with pytest.raises(ValueError, match="at most 20,000 are listed"):
        controller.all_tokens(search_space.FULL)


# ---------------------------------------------------------------------- the gradient


@pytest.mark.equation("8.2")
def test_exact_gradient_of_one_decision_by_hand():
    """Rewards 0.8 and 0.6 at even odds: 1/4 of the difference, up and down."""
    policy = even(TWO)
    tokens = controller.all_tokens(TWO)
    rewards = torch.where(tokens[:, 0] == 0, 0.8, 0.6)
    assert controller.expected_reward(policy, tokens, rewards).item() == pytest.approx(
        0.7
    )
    gradient = controller.exact_gradient(policy, tokens, rewards)
    names = [n for n, p in policy.named_parameters() for _ in range(p.numel())]
    bias = gradient[[i for i, n in enumerate(names) if n == "heads.0.bias"]]
    torch.testing.assert_close(bias, torch.tensor([0.05, -0.05]))


@pytest.mark.equation("8.2")
def test_exact_gradient_is_the_slope_of_the_expected_reward():
    tokens, rewards = made_up(TOY, 0)
    policy = leaning(TOY).double()
    rewards = rewards.double()
    way = direction(policy, 0).double()
    gradient = controller.exact_gradient(policy, tokens, rewards)
    weights = parameters_to_vector(policy.parameters()).detach()
    values = []
    for step in (1e-5, -1e-5):
        nn.utils.vector_to_parameters(weights + step * way, policy.parameters())
        with torch.no_grad():
            values.append(controller.expected_reward(policy, tokens, rewards).item())
    slope = (values[0] - values[1]) / 2e-5
    assert (gradient @ way).item() == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_scores_are_the_gradients_of_single_rows():
    policy, tokens = leaning(TOY), controller.all_tokens(TOY)[::100]
    way = direction(policy, 1)
    found = controller.scores(policy, tokens, way)
    for i, row in enumerate(tokens):
        log_p, _ = policy(row[None])
        parts = torch.autograd.grad(log_p[0], list(policy.parameters()))
        assert found[i].item() == pytest.approx(
            (parameters_to_vector(parts) @ way).item(), rel=1e-3, abs=1e-5
        )


@pytest.fixture(scope="module")
def listed():
    """A policy, 8,000 samples of it with rewards, and its scores along three ways."""
    tokens, rewards = made_up(TOY, 0)
    policy = leaning(TOY)
    index = {tuple(row): i for i, row in enumerate(tokens.tolist())}
    drawn = policy.sample(8000, torch.Generator().manual_seed(3))
    seen = rewards[[index[tuple(row)] for row in drawn.tolist()]]
    ways = [direction(policy, seed) for seed in range(3)]
    scores = [controller.scores(policy, tokens, way) for way in ways]
    return policy, tokens, rewards, drawn, seen, ways, scores


@pytest.mark.equation("8.3")
@pytest.mark.parametrize("baseline", [0.0, 0.7, 0.75, 2.0])
def test_reinforce_is_unbiased_whatever_the_baseline(listed, baseline):
    """Mean of 8,000 samples against the exact gradient, along three directions."""
    policy, tokens, rewards, drawn, seen, ways, scores = listed
    estimate = controller.sampled_gradient(policy, drawn, seen, baseline)
    exact = controller.exact_gradient(policy, tokens, rewards)
    probability = policy(tokens)[0].exp().detach()
    for way, score in zip(ways, scores, strict=True):
        mean, variance = controller.moments(probability, score, rewards, baseline)
        wanted = (exact @ way).item()
        assert mean == pytest.approx(wanted, rel=1e-2, abs=1e-5)
        error = math.sqrt(variance / 8000)
        assert abs((estimate @ way).item() - wanted) < 4 * error


@pytest.mark.equation("8.3")
def test_the_baseline_lowers_the_variance_of_the_gradient():
    """500 batches of 20, with and without; the exact variances say the same."""
    tokens, rewards = made_up(TOY, 0)
    policy = controller.Controller(TOY)
    probability = policy(tokens)[0].exp().detach()
    expected = (probability * rewards).sum().item()
    generator = torch.Generator().manual_seed(0)
    drawn = torch.multinomial(
        probability, 500 * 20, replacement=True, generator=generator
    )
    for seed in range(3):
        score = controller.scores(policy, tokens, direction(policy, seed))
        found, exact = {}, {}
        for b in (0.0, expected):
            one = (rewards[drawn] - b) * score[drawn]
            found[b] = one.reshape(500, 20).mean(dim=1).var().item()
            exact[b] = controller.moments(probability, score, rewards, b)[1] / 20
            assert found[b] == pytest.approx(exact[b], rel=0.4)
        assert found[expected] < found[0.0] / 10
        assert exact[expected] < exact[0.0] / 10


@pytest.mark.equation("8.3")
@pytest.mark.parametrize(
    ("baseline", "variance"),
    # The two estimates: 0.4 and -0.3; 0.05 and 0.05; -0.1 and 0.2. Their mean is 0.05.
    [(0.0, 0.35**2), (0.7, 0.0), (1.0, 0.15**2)],
)
def test_moments_of_two_choices_by_hand(baseline, variance):
    half, score = torch.tensor([0.5, 0.5]), torch.tensor([0.5, -0.5])
    mean, found = controller.moments(half, score, torch.tensor([0.8, 0.6]), baseline)
    assert mean == pytest.approx(0.05)
    assert found == pytest.approx(variance, abs=1e-6)


# ---------------------------------------------------------------------- the learning


@pytest.mark.equation("8.4")
def test_the_baseline_is_a_moving_average_by_hand():
    learner = controller.Learner(TOY, seed=0)
    tokens = learner.sample(2)
    learner.update(tokens, [1.0, 0.0])  # starts at 0.5; 0.525 after the 1
    assert learner.baseline == pytest.approx(0.525 * 0.95)
    learner.update(tokens, [0.8, 0.8])
    step = 0.95 * 0.49875 + 0.05 * 0.8
    assert learner.baseline == pytest.approx(0.95 * step + 0.05 * 0.8)


@pytest.mark.equation("8.5")
def test_ppo_loss_by_hand():
    """Ratios 1.5 and 0.5, advantages 1 and -1, clipped to 0.8 to 1.2."""
    ratio = torch.tensor([1.5, 0.5, 1.5, 0.5])
    advantage = torch.tensor([1.0, 1.0, -1.0, -1.0])
    log_p = ratio.log().requires_grad_()
    loss = controller.ppo_loss(log_p, torch.zeros(4), advantage, 0.2)
    assert loss.item() == pytest.approx(-(1.2 + 0.5 - 1.5 - 0.8) / 4)
    loss.backward()
    # Too far in the right direction: no gradient. In the wrong one: the whole of it.
    by_hand = torch.tensor([0.0, -0.5, 1.5, 0.0]) / 4
    torch.testing.assert_close(log_p.grad, by_hand)


@pytest.mark.equation("8.5")
def test_before_the_first_step_ppo_is_reinforce():
    policy, generator = leaning(TOY), torch.Generator().manual_seed(0)
    tokens = policy.sample(20, generator)
    rewards = torch.rand(20, generator=generator)
    log_p, _ = policy(tokens)
    loss = controller.ppo_loss(log_p, log_p.detach(), rewards - 0.5, clip=0.2)
    parts = torch.autograd.grad(loss, list(policy.parameters()))
    wanted = -controller.sampled_gradient(policy, tokens, rewards, 0.5)
    torch.testing.assert_close(parameters_to_vector(parts), wanted)


@pytest.mark.equation("8.3")
@pytest.mark.parametrize("settings", [controller.REINFORCE, controller.FEW])
def test_a_learner_asks_for_the_loss_that_its_settings_name(monkeypatch, settings):
    """REINFORCE where nothing is clipped; its weights are those of PPO, bit for bit."""
    asked = {"reinforce_objective": 0, "ppo_loss": 0, "sequence_log_prob": 0}

    def counted(name):
        function = getattr(controller, name)

        def call(*args, **named):
            asked[name] += 1
            return function(*args, **named)

        return call

    for name in asked:
        monkeypatch.setattr(controller, name, counted(name))
    learner = controller.Learner(TOY, 0, settings)
    for _ in range(3):
        drawn = learner.sample(20)
        learner.update(drawn, (drawn[:, 0] / 10).tolist())
    plain = settings is controller.REINFORCE
    passes = 3 * settings.passes
    assert asked["reinforce_objective"] == (passes if plain else 0)
    assert asked["ppo_loss"] == (0 if plain else passes)
    assert asked["sequence_log_prob"] == 3 + 3 + passes  # sample, old, each pass


def test_reinforce_takes_the_steps_of_ppo_without_a_clip():
    def weights(clip):
        settings = dataclasses.replace(controller.REINFORCE, clip=clip)
        learner = controller.Learner(TOY, 0, settings)
        for _ in range(3):
            drawn = learner.sample(20)
            learner.update(drawn, (drawn[:, 0] / 10).tolist())
        return parameters_to_vector(learner.policy.parameters())

    assert torch.equal(weights(math.inf), weights(1e9))


def rise(settings, seed, samples=200):
    """What `samples` samples add to the expected reward, in standard deviations."""
    tokens, rewards = made_up(TOY, seed)
    index = {tuple(row): i for i, row in enumerate(tokens.tolist())}
    learner = controller.Learner(TOY, seed, settings)
    with torch.no_grad():
        before = controller.expected_reward(learner.policy, tokens, rewards)
    for _ in range(samples // 20):
        drawn = learner.sample(20)
        learner.update(drawn, [rewards[index[tuple(r)]].item() for r in drawn.tolist()])
    with torch.no_grad():
        after = controller.expected_reward(learner.policy, tokens, rewards)
    return (after - before).item() / rewards.std(correction=0).item()


def test_the_controller_learns_on_28_of_30_seeds():
    """One standard deviation between cells within 200 samples, by enumeration."""
    found = [rise(controller.FEW, seed) for seed in range(30)]
    assert sum(r >= 1 for r in found) >= 28, sorted(found)


def test_published_settings_need_more_than_200_samples():
    assert max(rise(controller.PUBLISHED, seed) for seed in range(3)) < 0.5


def test_the_entropy_bonus_keeps_the_policy_open():
    """A weight that outbids the rewards leaves the policy even: by hand, log 576."""
    tokens, _ = made_up(TOY, 0)
    settings = dataclasses.replace(controller.FEW, entropy=10.0)
    learner = controller.Learner(TOY, 0, settings)
    for _ in range(10):
        drawn = learner.sample(20)
        learner.update(drawn, (drawn[:, 0] / 10).tolist())
    log_p, entropy = learner.policy(tokens)
    assert (log_p.exp() * entropy).sum().item() > math.log(576) - 0.2


def test_settings_are_the_paper_s():
    s = controller.PUBLISHED
    assert (s.lr, s.entropy, s.decay, s.batch) == (0.00035, 0.00001, 0.95, 20)


# -------------------------------------------------------------------------- a search


def pools(genotype):
    """Made-up accuracy: the share of sides that are max pools."""
    blocks = genotype.normal.blocks
    return sum(p.operation == "max3" for b in blocks for p in b[:2]) / 4


def test_search_returns_a_history_and_finds_what_is_paid_for():
    space, seen = search_space.SMALL, []

    def evaluate(genotype):
        search_space.validate(space, genotype)
        seen.append(genotype)
        return pools(genotype)

    history = controller.search(space, evaluate, budget=210, seed=0)
    assert [t.genotype for t in history.trials] == seen and len(history) == 210
    assert history.best_so_far() == sorted(history.best_so_far())
    assert history.best.value == 1.0
    early = sum(t.value for t in history.trials[:20]) / 20
    late = sum(t.value for t in history.trials[-20:]) / 20
    assert late > early + 0.3  # a third of the sides at first, nearly all at the end


def test_the_seed_decides():
    def run(seed):
        history = controller.search(search_space.SMALL, pools, 45, seed)
        return [str(t.genotype) for t in history.trials]

    assert run(1) == run(1)
    assert run(1) != run(2)
    random.seed(0)
    torch.manual_seed(0)
    assert run(1) == run(1)  # no global generator is read


def test_a_bad_budget_or_value_is_refused():
    with pytest.raises(ValueError, match="budget is 0"):
        controller.search(TOY, pools, 0, seed=0)
    with pytest.raises(ValueError, match=r"evaluate gave nan for (max3|sep3)"):
        controller.search(TOY, lambda genotype: float("nan"), 5, seed=0)
