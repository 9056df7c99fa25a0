"""A network that designs networks: the LSTM controller and its policy gradient.

The controller makes the decisions of a space one after the other. Each is a softmax
over the options, and what it chose is the input of the next. Good cells are made more
likely: REINFORCE gives the direction, a baseline takes most of its noise away, PPO
takes several careful steps on the same samples. On a small space every sequence of
tokens can be listed, so the exact gradient is there to compare with.

Papers: Zoph and others, arXiv 1707.07012, appendix A.1 (this controller); Williams,
1992 (REINFORCE); Schulman and others, 1707.06347 (PPO). Chapter 08.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from lib.basics import arguments
from lib.nas.history import History, Log
from lib.nas.search_space import Space, decisions, decode

LARGEST = 20_000  # token sequences; a space with more is not listed


class Controller(nn.Module):
    """One LSTM layer, a softmax for each decision of `space`.

    A decision with one option is none: its token is 0, and the LSTM does not see it.
    Weights are uniform in (-0.1, 0.1), as published: nothing is preferred at first.
    Called with tokens (B, T), it gives log-probability and entropy of each row.
    """

    def __init__(self, space: Space, hidden: int = 100, seed: int = 0):
        super().__init__()
        hidden = arguments.whole_number("hidden", hidden, 1, 10**5)
        seed = arguments.seed(seed)
        self.hidden = hidden
        self.sizes: list[int] = []  # options of each decision
        self.open: list[int] = []  # the decisions that have two or more
        self.first: list[int] = []  # each decision's first row of the embedding
        rows = 1  # row 0 starts the sequence; then a row for each option
        for t, decision in enumerate(decisions(space)):
            size = len(decision.options)
            if size > 1:
                self.open.append(t)
            self.sizes.append(size)
            self.first.append(rows)
            rows += size
        with torch.random.fork_rng(devices=[]):  # torch draws weights that we replace
            self.cell = nn.LSTMCell(hidden, hidden)
            self.embedding = nn.Embedding(rows, hidden)
            self.heads = nn.ModuleList()
            for t in self.open:
                self.heads.append(nn.Linear(hidden, self.sizes[t]))
        _start_uniform(self, seed)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of each row of tokens, and its entropy: (B,) and (B,).

        The entropy is that of the softmaxes met on the way, added up. Its mean over
        samples is the entropy of the whole distribution.

        With all weights 0 the 6 * 6 * 9 * 9 = 2916 sequences are equally likely:

        >>> from lib.nas.search_space import SMALL
        >>> policy = Controller(SMALL)
        >>> for weight in policy.parameters():
        ...     _ = weight.data.zero_()
        >>> log_p, _ = policy(torch.zeros(1, 10, dtype=torch.long))
        >>> round(1 / log_p.exp().item())
        2916
        """
        _insist_on_rows(tokens, len(self.sizes))

        def given(t: int, log_probs: Tensor) -> Tensor:
            return tokens[:, t]  # B

        _, log_p, entropy = self._walk(len(tokens), given)
        return log_p, entropy

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draws `count` sequences of tokens from the policy: (count, T), int64."""
        count = arguments.whole_number("count", count, least=0)

        def drawn(t: int, log_probs: Tensor) -> Tensor:
            p = log_probs.exp()  # B K
            token = torch.multinomial(p, 1, generator=generator)  # B 1
            return token.flatten()  # B

        tokens, _, _ = self._walk(count, drawn)
        return tokens

    def _walk(self, count: int, choose) -> tuple[Tensor, Tensor, Tensor]:
        """From decision to decision; `choose(t, log_probs)` gives the tokens of t."""
        weight = self.embedding.weight
        steps = len(self.sizes)
        tokens = weight.new_zeros(count, steps).long()  # B T
        row = weight.new_zeros(count).long()  # of the embedding: what was chosen last
        h = weight.new_zeros(count, self.hidden)  # B hidden
        c = torch.zeros_like(h)  # B hidden
        softmaxes, choices = [], []
        for t, head in zip(self.open, self.heads, strict=True):
            x = self.embedding(row)  # B hidden
            h, c = self.cell(x, (h, c))  # B hidden
            logits = head(h)  # B K
            log_probs = logits.log_softmax(dim=1)
            chosen = choose(t, log_probs)  # B
            softmaxes.append(log_probs)
            choices.append(chosen)
            tokens[:, t] = chosen
            row = self.first[t] + chosen
        log_p = sequence_log_prob(softmaxes, choices)  # B, Eq. 8.1
        entropy = sum(_entropy(log_probs) for log_probs in softmaxes)  # B, Eq. 8.6
        return tokens, log_p, entropy


def _start_uniform(policy: nn.Module, seed: int) -> None:
    """First weights: each uniform in (-0.1, 0.1)."""
    generator = torch.Generator().manual_seed(seed)
    for weight in policy.parameters():
        if not weight.is_meta:
            uniform = torch.rand(weight.shape, generator=generator, device="cpu")
            weight.data.copy_(0.2 * uniform - 0.1)


def _insist_on_rows(tokens: Tensor, length: int) -> None:
    """ValueError unless `tokens` is (B, T) with a token for each decision."""
    arguments.tensor("tokens", tokens, "B T")
    if tokens.shape[1] != length:
        raise ValueError(f"tokens has shape {tuple(tokens.shape)}; a row has {length}")


@arguments.named
def sequence_log_prob(log_probs: list[Tensor], chosen: list[Tensor]) -> Tensor:
    """Log-probability of each row of choices: (B,). Eq. 8.1.

    `log_probs` holds for each decision, first to last, the log-softmax of its K options
    (B, K); K differs from one to the next. `chosen` holds for each decision the token
    that each of the B rows took: (B,), whole numbers.

    State 0 with probability 3/4, then a pool with probability 1/2:

    >>> first, second = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.5, 0.5]])
    >>> taken = [torch.tensor([0]), torch.tensor([1])]
    >>> sequence_log_prob([first.log(), second.log()], taken).exp().item()
    0.375
    """
    total = 0.0
    for log_p, token in zip(log_probs, chosen, strict=True):
        column = token[:, None]  # B 1
        of_token = log_p.gather(1, column)  # B 1
        total = total + of_token[:, 0]  # B
    return total


def _entropy(log_probs: Tensor) -> Tensor:
    """Entropy of each row of (B, K): (B,)."""
    surprise = -log_probs  # B K
    expected = log_probs.exp() * surprise
    return expected.sum(dim=1)  # B


# --------------------------------------------------------------- the exact gradient


def all_tokens(space: Space) -> Int[Tensor, "N T"]:
    """Every sequence of tokens of a small space, in lexicographic order."""
    sizes = [len(decision.options) for decision in decisions(space)]
    if math.prod(sizes) > LARGEST:
        raise ValueError(
            f"this space has {math.prod(sizes):,} token sequences;"
            f" at most {LARGEST:,} are listed"
        )
    return torch.cartesian_prod(*[torch.arange(size) for size in sizes])


def expected_reward(
    policy: Controller, tokens: Int[Tensor, "N T"], rewards: Float[Tensor, " N"]
) -> Float[Tensor, ""]:
    """J, the mean reward under the policy; `tokens` are `all_tokens` of its space."""
    arguments.instance("policy", policy, nn.Module)
    arguments.tensor("rewards", rewards, "N")
    log_p, _ = policy(tokens)  # N
    probability = log_p.exp()
    return (probability * rewards).sum()  # Eq. 8.2


def exact_gradient(
    policy: Controller, tokens: Int[Tensor, "N T"], rewards: Float[Tensor, " N"]
) -> Float[Tensor, " P"]:
    """The gradient of J with respect to all P parameters, no sampling: Eq. 8.2."""
    return _gradient(expected_reward(policy, tokens, rewards), policy)


def sampled_gradient(
    policy: Controller,
    tokens: Int[Tensor, "B T"],
    rewards: Float[Tensor, " B"],
    baseline: float = 0.0,
) -> Float[Tensor, " P"]:
    """REINFORCE: the same gradient, estimated from B samples of the policy. Eq. 8.3.

    Unbiased for any baseline that does not depend on these samples.
    """
    arguments.instance("policy", policy, nn.Module)
    arguments.tensor("rewards", rewards, "B")
    baseline = arguments.real_number("baseline", baseline)
    log_p, _ = policy(tokens)  # B
    objective = reinforce_objective(log_p, rewards, baseline)
    return _gradient(objective, policy)


@arguments.named
def reinforce_objective(
    log_p: Float[Tensor, " B"], rewards: Float[Tensor, " B"], baseline: float = 0.0
) -> Float[Tensor, ""]:
    """What REINFORCE climbs: its gradient is Eq. 8.3, its value means nothing.

    Rewards 1 and 3, baseline 2: (-1 * -0.5 + 1 * -2.5) / 2.

    >>> log_p, rewards = torch.tensor([-0.5, -2.5]), torch.tensor([1.0, 3.0])
    >>> reinforce_objective(log_p, rewards, baseline=2.0).item()
    -1.0
    """
    advantage = rewards - baseline  # B: how much better than expected
    weighted = advantage * log_p  # B
    return weighted.mean()


def scores(
    policy: Controller, tokens: Int[Tensor, "N T"], direction: Float[Tensor, " P"]
) -> Float[Tensor, " N"]:
    """How fast the log-probability of each row grows along a direction of weights.

    That is the gradient of log-probability times `direction`, for all rows at once.
    """
    arguments.gradients_on("scores")
    arguments.instance("policy", policy, nn.Module)
    arguments.tensor("direction", direction, "P")
    log_p, _ = policy(tokens)  # N
    # Weigh row i by weights[i]: the gradient is linear in them, and what multiplies
    # weights[i] is the gradient of row i. So a second derivative picks the rows apart.
    weights = torch.ones_like(log_p, requires_grad=True)
    parts = torch.autograd.grad(
        log_p, list(policy.parameters()), grad_outputs=weights, create_graph=True
    )
    return torch.autograd.grad(parameters_to_vector(parts) @ direction, weights)[0]


def moments(
    probability: Float[Tensor, " N"],
    score: Float[Tensor, " N"],
    rewards: Float[Tensor, " N"],
    baseline: float = 0.0,
) -> tuple[float, float]:
    """Mean and variance of Eq. 8.3 with a batch of one, along one direction, exactly.

    A batch of B has the same mean and 1/B of the variance.
    """
    arguments.tensor("probability", probability, "N")
    arguments.tensor("score", score, "N")
    arguments.tensor("rewards", rewards, "N")
    baseline = arguments.real_number("baseline", baseline)
    estimate = (rewards - baseline) * score  # from each single sample
    mean = (probability * estimate).sum()
    variance = (probability * (estimate - mean) ** 2).sum()
    return mean.item(), variance.item()


def _gradient(value: Tensor, policy: nn.Module) -> Tensor:
    arguments.gradients_on("a policy's gradient")
    parts = torch.autograd.grad(value, list(policy.parameters()))
    return parameters_to_vector(parts)


# ------------------------------------------------------------------------- learning


@dataclass(frozen=True)
class Settings:
    """How the controller learns; what the paper does not say is marked so."""

    lr: float = 0.00035
    batch: int = 20  # architectures between two updates
    passes: int = 1  # steps on the same batch: not said
    clip: float = 0.2  # of the probability ratio: not said; this is the PPO paper's
    entropy: float = 0.00001  # weight of the entropy bonus
    decay: float = 0.95  # of the moving average that is the baseline

    def __post_init__(self):
        arguments.real_number("lr", self.lr, above=0)
        arguments.whole_number("batch", self.batch, least=1)
        arguments.whole_number("passes", self.passes, least=1)
        arguments.real_number("clip", self.clip, least=0, infinite=True)
        arguments.real_number("entropy", self.entropy)
        arguments.real_number("decay", self.decay, least=0, most=1)


PUBLISHED = Settings()  # made for 20,000 architectures
FEW = Settings(lr=0.005, passes=5)  # for a few hundred; chosen on made-up rewards
REINFORCE = Settings(lr=0.005, clip=math.inf)  # one pass and no clip: plain REINFORCE


@arguments.named
def ppo_loss(
    log_p: Float[Tensor, " B"],
    old: Float[Tensor, " B"],
    advantage: Float[Tensor, " B"],
    clip: float,
) -> Float[Tensor, ""]:
    """The clipped surrogate of PPO, to be minimised; `old` is log_p when drawn.

    While nothing has moved, its gradient is that of REINFORCE. Eq. 8.5.

    One half more likely than it was, and good: the ratio 1.5 is worth 1.2 only.

    >>> old, now = torch.tensor([0.2]).log(), torch.tensor([0.3]).log()
    >>> round(ppo_loss(now, old, torch.tensor([1.0]), clip=0.2).item(), 6)
    -1.2
    """
    ratio = (log_p - old).exp()  # B: how much likelier than when drawn
    clipped = ratio.clamp(1 - clip, 1 + clip)  # B
    worth = torch.min(ratio * advantage, clipped * advantage)  # B
    return -worth.mean()


class Learner:
    """A controller, its baseline and its optimizer, Adam: the paper names none."""

    def __init__(self, space: Space, seed: int, settings: Settings = FEW):
        self.settings = arguments.instance("settings", settings, Settings)
        seed = arguments.seed(seed)
        self.policy = Controller(space, seed=seed)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=settings.lr)
        self.generator = torch.Generator().manual_seed(seed)
        self.baseline: float | None = None  # no reward seen yet

    def sample(self, count: int) -> Tensor:
        """Draws sequences of tokens from the policy as it is now: (count, T)."""
        return self.policy.sample(count, self.generator)

    def update(self, tokens: Tensor, rewards: list[float]) -> None:
        """One batch: `passes` steps uphill, then the baseline moves on.

        The baseline is made of earlier rewards. The first batch has none and uses its
        own mean, which shortens that one gradient by 1/B and does not turn it.
        """
        arguments.gradients_on("update")
        rewards = arguments.real_array("rewards", rewards, 1).tolist()
        arguments.tensor("tokens", tokens, f"{len(rewards)} T")
        if self.baseline is None:
            self.baseline = sum(rewards) / len(rewards)
        earned = torch.tensor(rewards, dtype=torch.float32)  # B
        with torch.no_grad():
            old, _ = self.policy(tokens)  # B
        for _ in range(self.settings.passes):
            log_p, entropy = self.policy(tokens)  # B
            loss = self.loss(log_p, old, earned)
            loss = loss - self.settings.entropy * entropy.mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        for reward in rewards:
            keep = self.settings.decay  # Eq. 8.4
            self.baseline = keep * self.baseline + (1 - keep) * reward

    def loss(self, log_p: Tensor, old: Tensor, rewards: Tensor) -> Tensor:
        """What a step makes smaller: REINFORCE if nothing is clipped, else PPO's."""
        one_pass = self.settings.passes == 1  # the policy is still the one that drew
        if one_pass and self.settings.clip == math.inf:
            return -reinforce_objective(log_p, rewards, self.baseline)
        advantage = rewards - self.baseline  # B
        return ppo_loss(log_p, old, advantage, self.settings.clip)


def search(
    space: Space, evaluate, budget: int, seed: int, settings: Settings = FEW
) -> History:
    """Samples `budget` genotypes, learning after each batch; every sample is a trial.

    `evaluate(genotype) -> float`, more is better. A cell drawn again is asked again, as
    in the paper; `History.distinct` counts cells. Raises ValueError for a budget below
    1 and for a value that is not finite.
    """
    log = Log(evaluate, budget)
    learner = Learner(space, seed, settings)
    while log.open():
        left = log.budget - len(log.trials)
        tokens = learner.sample(min(settings.batch, left))  # B T
        rewards = []
        for row in tokens.tolist():
            genotype = decode(space, row)
            trial = log.ask(genotype)
            rewards.append(trial.value)
        learner.update(tokens, rewards)
    return log.history()
