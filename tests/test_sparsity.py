"""Masks against torch.nn.utils.prune, packing against torch's 2:4 form, by hand."""

import copy
import importlib.util
import math
import warnings
import zlib
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize, prune
from torch.sparse import _semi_structured_conversions as cutlass

from lib.basics import training
from lib.compression import sparsity
from lib.detection import detectors

SPARSITIES = (0.0, 0.1, 0.29, 0.5, 0.75, 0.9, 0.97)


def network(seed=0):
    """Two convolutions, one of them grouped, a norm, and a linear layer."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, groups=2, bias=False), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
        )  # fmt: skip


def state_of(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


def same(model, state):
    now = model.state_dict()
    return all(torch.equal(now[k], state[k]) for k in state) and len(now) == len(state)


# ------------------------------------------------------------------------------ masks


@pytest.mark.equation("17.1")
def test_the_smallest_magnitudes_go_by_hand():
    weight = torch.tensor([[0.5, -0.1, 0.05], [-0.4, 0.2, -0.8]])
    kept = sparsity.magnitude_mask(weight, 0.5)
    assert kept.tolist() == [[True, False, False], [True, False, True]]
    # Rounded as torch does it: half of 5 is 2, half to even.
    assert sparsity.magnitude_mask(torch.arange(5.0), 0.5).sum() == 3
    equal = sparsity.magnitude_mask(torch.ones(4), 0.5)
    assert equal.tolist() == [False, False, True, True]
    assert sparsity.magnitude_mask(torch.ones(2, 3), 0.999).sum() == 1


@pytest.mark.parametrize("share", SPARSITIES)
def test_layer_masks_are_those_of_l1_unstructured(share):
    model, theirs = network(), network()
    masks = sparsity.layer_masks(model, share)
    for name, module in theirs.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            prune.l1_unstructured(module, "weight", share)
            assert torch.equal(masks.pop(f"{name}.weight"), module.weight_mask.bool())
    assert not masks


@pytest.mark.equation("17.2")
@pytest.mark.parametrize("share", SPARSITIES)
def test_global_masks_are_those_of_global_unstructured(share):
    model, theirs = network(), network()
    modules = {n: m for n, m in theirs.named_modules() if hasattr(m, "weight")}
    modules = {n: m for n, m in modules.items() if not isinstance(m, nn.BatchNorm2d)}
    how = {"pruning_method": prune.L1Unstructured, "amount": share}
    prune.global_unstructured([(m, "weight") for m in modules.values()], **how)
    masks = sparsity.global_masks(model, share)
    assert list(masks) == [f"{n}.weight" for n in modules]
    for name, module in modules.items():
        assert torch.equal(masks[f"{name}.weight"], module.weight_mask.bool())
    sparsity.apply(model, masks)
    images = torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model.eval()(images), theirs.eval()(images))


def test_a_global_threshold_by_hand():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -2], [3, 4]]))
        model[1].weight.copy_(torch.tensor([[0.1, -5.0]]))
    masks = sparsity.global_masks(model, 0.5)  # 0.1, 1 and 2 go
    assert masks["0.weight"].tolist() == [[False, False], [True, True]]
    assert masks["1.weight"].tolist() == [[False, True]]
    sparsity.apply(model, masks)
    assert model[0].weight.tolist() == [[0, 0], [3, 4]]
    assert sparsity.share_of_zeros(model) == 0.5


def test_a_batch_norm_makes_sizes_meaningless():
    """A layer a hundred times smaller computes the same, and loses everything."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 4, 9, 9, generator=generator)
    model = network()
    model[0].bias.data.zero_()
    before = model(images)
    model[0].weight.data.mul_(0.01)
    model[1].eps = 1e-12
    torch.testing.assert_close(model(images), before, rtol=1e-3, atol=1e-4)
    assert not sparsity.global_masks(model, 0.75)["0.weight"].any()
    assert sparsity.layer_masks(model, 0.75)["0.weight"].sum() == 72


def test_the_shipped_detector_is_pruned_like_torch_prunes_it():
    model, theirs = detectors.shipped("plain"), detectors.shipped("plain")
    sparsity.apply(model, sparsity.global_masks(model, 0.8))
    modules = [m for m in theirs.modules() if isinstance(m, nn.Conv2d)]
    for module in modules:  # torch's cannot flatten weights that are channels last
        module.weight.data = module.weight.data.contiguous()
    prune.global_unstructured(
        [(m, "weight") for m in modules], prune.L1Unstructured, amount=0.8
    )
    mine = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    for one, other in zip(mine, modules, strict=True):
        assert torch.equal(one.weight, other.weight)
    assert math.isclose(sparsity.share_of_zeros(model), 0.8, abs_tol=1e-6)


def test_shared_weights_count_once_and_bias_and_norm_stay():
    linear = nn.Linear(3, 3)
    model = nn.Sequential(linear, nn.BatchNorm1d(3), linear, nn.Linear(3, 3))
    model[3].weight = linear.weight
    assert list(sparsity.prunable(model)) == ["0.weight"]
    assert list(sparsity.prunable(linear)) == ["weight"]
    before = state_of(model)
    sparsity.apply(model, sparsity.layer_masks(model, 0.5))
    after = model.state_dict()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed == {"0.weight", "2.weight", "3.weight"}


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5, math.nan, math.inf])
@pytest.mark.parametrize("choose", [sparsity.layer_masks, sparsity.global_masks])
def test_sparsity_is_a_share(choose, share):
    model = network()
    before = state_of(model)
    with pytest.raises(ValueError, match=f"sparsity is {share}.*0 <= it < 1"):
        choose(model, share)
    assert same(model, before)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_named(value):
    model = network()
    model[3].weight.data[0, 0, 0, 0] = value
    for choose in (sparsity.layer_masks, sparsity.global_masks):
        with pytest.raises(ValueError, match=r"3\.weight holds NaN or infinity"):
            choose(model, 0.5)
    for function in (lambda w: sparsity.magnitude_mask(w, 0.5), sparsity.nm_mask):
        with pytest.raises(ValueError, match="NaN or infinity"):
            function(torch.full((4, 4), value))


def test_a_model_without_values_to_prune_is_refused():
    with pytest.raises(ValueError, match="Sequential has no convolution or linear"):
        sparsity.layer_masks(nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()), 0.5)
    with torch.device("meta"), pytest.raises(ValueError, match=r"0\.weight is on meta"):
        sparsity.layer_masks(network(), 0.5)
    model = network()
    prune.l1_unstructured(model[3], "weight", 0.5)
    with pytest.raises(ValueError, match=r"3\.weight is on meta or parametrized"):
        sparsity.layer_masks(model, 0.5)
    model = network()
    parametrize.register_parametrization(model[0], "weight", nn.Tanh())
    with pytest.raises(ValueError, match=r"0\.weight is on meta or parametrized"):
        sparsity.layer_masks(model, 0.5)


@pytest.mark.parametrize(
    ("name", "mask", "words"),
    [
        ("1.weight", torch.ones(8).bool(), r"1\.weight: no such weight; there is 0\.w"),
        ("7.weight", torch.ones(5, 8), r"7\.weight: the mask is \(torch\.float32"),
        ("7.weight", torch.ones(8, 5).bool(), r"\[8, 5\].*needed is.*\[5, 8\]"),
    ],
)
def test_masks_that_do_not_fit_change_nothing(name, mask, words):
    model = network()
    before = state_of(model)
    masks = sparsity.layer_masks(model, 0.5) | {name: mask}
    with pytest.raises(ValueError, match=words):
        sparsity.apply(model, masks)
    assert same(model, before)


# --------------------------------------------------------------------------- schedules


@pytest.mark.equation("17.3")
def test_the_cubic_schedule_by_hand():
    values = [sparsity.cubic(t, 10, 50, 0.8) for t in (0, 10, 20, 30, 50, 99)]
    # 0.8 (1 - (3/4)^3) = 0.4625 and 0.8 (1 - 1/8) = 0.7
    assert values == pytest.approx([0, 0, 0.4625, 0.7, 0.8, 0.8])
    assert sparsity.cubic(30, 10, 50, 0.9, initial=0.5) == pytest.approx(0.85)
    for begin, end in ((5, 5), (-1, 3), (7, 2)):
        with pytest.raises(ValueError, match="0 <= begin < end"):
            sparsity.cubic(0, begin, end, 0.5)


def fitted(model, on_step, steps=12):
    """Some steps with momentum and decay on noise."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(64, 4, 9, 9, generator=generator).to(model[0].weight.dtype)
    labels = torch.randint(0, 5, (64,), generator=generator)

    def loss_fn(model, batch):
        return nn.functional.cross_entropy(model(batch[0]), batch[1]), {}

    training.fit(
        model, (images, labels), loss_fn, steps=steps, batch_size=16, lr=0.1,
        on_step=on_step, progress=False,
    )  # fmt: skip
    return model


def test_masked_training_is_that_of_torch():
    """torch multiplies by the mask in each forward pass; we do it after each step."""
    mine, theirs = network().double(), network().double()
    masks = sparsity.layer_masks(mine, 0.7)
    sparsity.apply(mine, masks)
    for module in (theirs[0], theirs[3], theirs[7]):
        prune.l1_unstructured(module, "weight", 0.7)
    fitted(mine, lambda step, logs: sparsity.apply(mine, masks))
    fitted(theirs, None)
    for i in (0, 3, 7):
        prune.remove(theirs[i], "weight")  # until then: the weight of the last forward
        torch.testing.assert_close(
            mine[i].weight, theirs[i].weight, rtol=1e-12, atol=1e-12
        )
        assert torch.equal(mine[i].weight != 0, masks[f"{i}.weight"])


@pytest.mark.parametrize("choose", [sparsity.layer_masks, sparsity.global_masks])
def test_gradual_pruning_reaches_its_goal_and_no_zero_comes_back(choose):
    model, seen, shares = network(), [], []
    schedule = lambda step: sparsity.cubic(step, 0, 20, 0.9)  # noqa: E731
    gradual = sparsity.Gradual(model, schedule, choose, every=5)

    def on_step(step, logs):
        gradual(step, logs)
        seen.append({k: w == 0 for k, w in sparsity.prunable(model).items()})
        shares.append(sparsity.share_of_zeros(model))

    fitted(model, on_step, steps=24)
    for step, share in enumerate(shares):
        due = step // 5 * 5
        assert share == pytest.approx(schedule(due), abs=0.02), step  # few weights
    for before, after in zip(seen, seen[1:], strict=False):
        assert all((after[k] | ~before[k]).all() for k in before)
    for name, weight in sparsity.prunable(model).items():
        assert torch.equal(weight != 0, gradual.masks[name])


def test_gradual_pruning_begins_wherever_a_run_begins():
    model = network()
    gradual = sparsity.Gradual(model, lambda step: 0.5, every=10)
    gradual(3)
    assert sparsity.share_of_zeros(model) == pytest.approx(0.5, abs=0.01)


# ----------------------------------------------------------------- scan and tickets


def test_sensitivity_prunes_one_layer_at_a_time_and_puts_it_back():
    model = network()
    before = state_of(model)

    def score(model):
        return tuple(int((w == 0).sum()) for w in sparsity.prunable(model).values())

    found = sparsity.sensitivity(model, (0.0, 0.5, 0.75), score)
    assert found == {  # of 288, 288 and 40 weights
        "0.weight": [(0, 0, 0), (144, 0, 0), (216, 0, 0)],
        "3.weight": [(0, 0, 0), (0, 144, 0), (0, 216, 0)],
        "7.weight": [(0, 0, 0), (0, 0, 20), (0, 0, 30)],
    }
    assert same(model, before)

    def fails(model):
        raise RuntimeError("no score today")

    with pytest.raises(RuntimeError, match="today"):
        sparsity.sensitivity(model, [0.9], fails)
    with pytest.raises(ValueError, match=r"sparsities\[1\] is 1\.5"):
        sparsity.sensitivity(model, [0.5, 1.5], score)
    assert same(model, before)


@pytest.mark.equation("17.4")
def test_a_ticket_is_the_first_weights_under_the_last_mask():
    model = network()
    first = state_of(model)
    fitted(model, None)
    last = state_of(model)
    masks = sparsity.global_masks(model, 0.8)
    ticket = sparsity.rewind(model, first, masks)
    for name, weight in sparsity.prunable(ticket).items():
        assert torch.equal(weight, first[name] * masks[name])
        assert not torch.equal(weight, last[name] * masks[name])
    assert torch.equal(ticket[1].running_mean, first["1.running_mean"])
    assert same(model, last)  # a new model
    with pytest.raises(ValueError, match=r"state does not fit .*0\.weight"):
        sparsity.rewind(model, {}, masks)
    with pytest.raises(ValueError, match="no such weight"):
        sparsity.rewind(model, first, {"9.weight": masks["0.weight"]})
    assert same(model, last)


# ------------------------------------------------------------------- files and kernels


@pytest.mark.equation("17.5")
def test_sizes_of_files_by_hand():
    weight = torch.zeros(4, 10)
    weight[0, 0], weight[2, 5], weight[3, 9] = 1.0, -2.0, 3.5
    sizes = sparsity.file_sizes(weight)
    assert sizes.dense == 160
    assert sizes.csr == 3 * (4 + 4) + 4 * 5
    assert sizes.bitmap == 5 + 3 * 4
    assert sizes.zip == len(zlib.compress(weight.numpy().tobytes())) < 60
    table = torch.ones(4, 10)
    table[0, 0] = 0
    csr = csr_of(table)  # torch's own, with columns of 8 bytes where ours have 4
    assert csr.values().nbytes + csr.col_indices().nbytes // 2 == 39 * 8
    assert csr.crow_indices().numel() == 5
    assert sparsity.file_sizes(table).csr == 39 * 8 + 20
    eight = sparsity.file_sizes(torch.ones(4, 3, 1, 1, dtype=torch.int8))
    assert eight[:1] + eight[2:] == (12, 2 + 12, 12 * 5 + 20)


def csr_of(matrix):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return matrix.to_sparse_csr()


def test_deflate_leaves_noise_as_it_is():
    """Bytes of 10,000 random floats: nothing repeats but the exponents."""
    weight = torch.randn(100, 100, generator=torch.Generator().manual_seed(0))
    sizes = sparsity.file_sizes(weight)
    assert 0.85 * sizes.dense < sizes.zip <= sizes.dense + 40
    weight[sparsity.magnitude_mask(weight, 0.9).logical_not()] = 0
    assert sparsity.file_sizes(weight).zip < 0.2 * sizes.dense


def test_a_pattern_skips_layers_whose_inputs_do_not_divide():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1), nn.Linear(6, 2))
    with torch.no_grad():
        model[1].weight[0, :, 0, 0] = torch.tensor([1.0, -3, 2, 0, 5, -5, 5, 5])
    masks = sparsity.pattern_masks(model)
    assert list(masks) == ["1.weight"]  # 3 and 6 are no multiples of 4
    wanted = [False, True, True, False, True, True, False, False]
    assert masks["1.weight"][0].flatten().tolist() == wanted
    masks = sparsity.pattern_masks(model, 1, 3)
    assert list(masks) == ["0.weight", "2.weight"]
    assert all((mask.sum(1) == mask.shape[1] // 3).all() for mask in masks.values())


@pytest.mark.equation("17.6")
def test_two_of_four_by_hand():
    weight = torch.tensor([[0.1, -0.9, 0.5, 0.2, 3.0, 2.0, -1.0, -4.0]])
    kept = sparsity.nm_mask(weight)
    assert kept.tolist() == [[False, True, True, False, True, False, False, True]]
    assert sparsity.nm_mask(weight, 1, 8).nonzero().tolist() == [[0, 7]]
    assert sparsity.nm_mask(torch.ones(1, 4)).tolist() == [[True, True, False, False]]


@pytest.mark.parametrize(("n", "m"), [(1, 2), (2, 4), (1, 4), (3, 4), (4, 8)])
def test_each_group_along_the_input_channels_keeps_its_largest(n, m):
    weight = torch.randn(6, 16, 3, 2, generator=torch.Generator().manual_seed(n * m))
    kept = sparsity.nm_mask(weight, n, m)
    assert kept.shape == weight.shape and kept.float().mean() == n / m
    for o in range(6):
        for i in range(0, 16, m):
            group = weight[o, i : i + m, 1, 1].abs()
            best = set(group.topk(n).indices.tolist())
            assert set(kept[o, i : i + m, 1, 1].nonzero()[:, 0].tolist()) == best


@pytest.mark.parametrize(
    ("shape", "n", "m"),
    [((8, 6), 2, 4), ((8, 3, 3, 3), 2, 4), ((8, 8), 4, 4), ((8, 8), 0, 4)],
)
def test_groups_that_do_not_come_out_are_refused(shape, n, m):
    with pytest.raises(ValueError, match=f"{n}:{m} of .*0 < n < m, and m divides"):
        sparsity.nm_mask(torch.ones(shape), n, m)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int8])
def test_packing_is_exact(n, dtype):
    generator = torch.Generator().manual_seed(n)
    for rows, columns in ((1, 4), (3, 12), (16, 64)):
        weight = torch.randn(rows, columns, generator=generator) * 9
        weight[torch.rand(rows, columns, generator=generator) < 0.2] = 0
        weight = (weight * sparsity.nm_mask(weight, n)).to(dtype)
        packed = sparsity.pack.__wrapped__(weight, n)  # the int8 of chapter 19, too
        assert packed.values.numel() == rows * columns * n // 4
        assert packed.places.numel() == math.ceil(rows * columns * n / 16)
        assert torch.equal(sparsity.unpack.__wrapped__(packed), weight)


def test_places_by_hand():
    weight = torch.tensor([[0.0, 7, 0, 5, 9, 0, 0, 0]])
    packed = sparsity.pack(weight)
    # 7 and 5 at 1 and 3; 9 at 0, and a zero to fill up, the first one, at 1.
    assert packed.values.tolist() == [[7, 5, 9, 0]]
    assert packed.places.tolist() == [1 + 4 * 3 + 16 * 0 + 64 * 1]


def test_packed_values_are_those_of_torchs_own_form():
    """And torch unpacks its values with its places to what we unpack from ours."""
    weight = torch.randn(64, 128, generator=torch.Generator().manual_seed(0)).half()
    weight = weight * sparsity.nm_mask(weight)
    values, places = cutlass.sparse_semi_structured_from_dense_cutlass(weight)
    packed = sparsity.pack(weight)
    assert torch.equal(packed.values, values)
    assert packed.places.numel() == places.nbytes  # 2 bits a value in both
    theirs = cutlass.sparse_semi_structured_to_dense_cutlass(values, places)
    assert torch.equal(sparsity.unpack(packed), theirs)


def test_what_is_no_pattern_is_refused():
    crowded = torch.zeros(3, 8)
    crowded[1, 4:7] = 1
    with pytest.raises(ValueError, match="row 1, columns 4 to 7: more than 2 values"):
        sparsity.pack(crowded)
    assert torch.equal(sparsity.unpack(sparsity.pack(crowded, 3)), crowded)
    for columns, n in ((6, 2), (8, 4), (8, 0)):
        with pytest.raises(ValueError, match=f"{n}:4 of {columns} columns"):
            sparsity.pack(torch.zeros(2, columns), n)


def test_sparse_products_without_a_gpu_are_refused_in_words():
    weight = torch.zeros(32, 64, dtype=torch.float16)
    with pytest.raises(ValueError, match="on cpu: 2:4 products need .* NVIDIA GPU"):
        sparsity.semi_structured(weight)


def test_pruning_keeps_the_layout_of_memory():
    """Channels last stays channels last: else every latency would be another one."""
    model = training.small_cnn()
    state = copy.deepcopy(model.state_dict())
    sparsity.apply(model, sparsity.global_masks(model, 0.5))
    for weight in (model[0].weight, sparsity.rewind(model, state, {})[4].weight):
        assert weight.is_contiguous(memory_format=torch.channels_last)


# ------------------------------------------------------------------- the recorded runs


@pytest.fixture(scope="module")
def script():
    """The script that recorded the comparisons of chapter 17."""
    path = Path(__file__).resolve().parents[1] / "data" / "ablations" / "sparsity.py"
    spec = importlib.util.spec_from_file_location("ablation_sparsity", path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize("sparse", [True, False])
def test_an_unrolled_detector_computes_the_same(script, sparse):
    """So that the time of the CSR kernel is the time of the same work."""
    model = detectors.shipped("plain")
    sparsity.apply(model, sparsity.layer_masks(model, 0.5))
    image = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, got = model(image), script.unrolled(model, sparse)(image)
    for one, other in zip(sum(expected, []), sum(got, []), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_statistics_measured_anew_are_those_of_the_pictures(script):
    norm = nn.BatchNorm2d(3)
    images = torch.randint(0, 256, (64, 3, 5, 5), dtype=torch.uint8)
    script.measured_anew(norm, images)
    mean = training.normalise(images).mean((0, 2, 3))
    torch.testing.assert_close(norm.running_mean, mean)
    assert not norm.training


def test_the_recorded_runs_go_on_after_a_kill(script, tmp_path):
    tiny = {"judged": 2, "looked at": 4, "one-shot": [0.5], "tuned": [["2:4", 0.5]],
            "shapes": [[4, 8, 2]], "latency": [0.9], "seeds": 1}  # fmt: skip
    settings, path = copy.deepcopy(script.SETTINGS) | tiny, tmp_path / "rows.jsonl"
    settings["tune"] |= {"scenes": 4, "steps": 2, "until": 1, "every": 1, "batch": 2}
    settings["lottery"] |= {"crops": 64, "steps": 2, "batch": 8, "judged": 20,
                            "sparsities": [0.5], "seeds": 1}  # fmt: skip
    assert script.run(settings, path, only=("one-shot",)) == 4 * 2
    path.write_bytes(path.read_bytes()[:-30])  # as a kill leaves it
    assert script.run(settings, path, only=("one-shot", "lottery", "product")) == 3
    rows = script.current(script.read(path), settings)
    assert len(rows) == 10
    assert {r["question"] for r in script.current(rows)} == {"product"}  # the same
    shares = {r["scope"]: r["zeros"] for r in rows if r["question"] == "one-shot"}
    assert shares["layer"] == pytest.approx(0.5, abs=1e-4)
    assert shares["lamp"] == pytest.approx(0.5, abs=1e-4)
    assert shares["2:4"] == pytest.approx(0.5, abs=1e-3)  # all but the first layer
    job = {"scope": "2:4", "sparsity": 0.5, "seed": 0}
    assert script.tuned(job, settings)["zeros"] == pytest.approx(shares["2:4"])
    assert len(script.report(rows).splitlines()) >= 6


def test_recorded_rows_are_those_of_todays_weights(script):
    """Where rows stand, all of them do, but for those that only a GPU can make."""
    rows = script.current(script.read())
    for job in script.plan(script.SETTINGS) if script.ROWS.exists() else ():
        found = [row for row in rows if job.items() <= row.items()]
        assert len(found) == 1 or job["question"] == "gpu", job
    for row in (row for row in rows if "ap" in row):
        assert 0 <= row["ap"] <= 1
        near = 1e-3  # a few weights of each layer by rounding; 2:4 skips one layer
        assert row["zeros"] == pytest.approx(row["sparsity"], abs=near)


@pytest.mark.equation("17.7")
def test_lamp_by_hand_and_who_pays():
    weight = torch.tensor([[1.0, -2.0], [3.0, -4.0]])
    wanted = torch.tensor([[1 / 30, 4 / 29], [9 / 25, 1.0]])
    assert torch.allclose(sparsity.lamp(weight), wanted)
    assert torch.allclose(sparsity.lamp(1000 * weight), wanted)  # scale falls out
    small, large = nn.Linear(2, 1, bias=False), nn.Linear(2, 2, bias=False)
    small.weight.data = torch.tensor([[0.02, 0.01]])  # scores 1 and 1/5
    large.weight.data = weight
    model = nn.Sequential(large, small)
    # 1/30 and 4/29 are the smallest two of six, then 1/5, then 9/25.
    masks = sparsity.lamp_masks(model, 0.5)
    assert masks["0.weight"].tolist() == [[False, False], [True, True]]
    assert masks["1.weight"].tolist() == [[True, False]]
    small.weight.data.zero_()  # nothing to lose, so it goes first
    assert not sparsity.lamp_masks(model, 1 / 3)["1.weight"].any()
