"""The controller unrolled and MBConv: products and weights by hand, bad numbers."""

import pytest

from lib.book import plots

STEPS = [
    ("input", ["state 0", "state 1"], [0.75, 0.25], 0),
    ("operation", ["pool", "sep3", "sep5"], [0.5, 0.25, 0.25], 0),
]


def test_an_unrolled_controller_multiplies_its_probabilities():
    figure = plots.unrolled(STEPS, total=10)
    # Chapter 08's example: 3/4 times 1/2.
    assert figure.says == "2 choices of 10; their probabilities multiply to 0.375."
    told = "input: state 0, one of 2 options, with probability 0.75; operation: pool"
    assert told in figure.alt and figure.alt.endswith("10 steps in all.")
    # What was chosen is what the next step reads; the last choice is read by nobody.
    drawn = [t.get_text() for t in figure._canvas.axes[0].texts]
    assert drawn.count("state 0") == 2 and drawn.count("pool") == 1
    assert "start" in drawn and "…" in drawn
    assert plots.unrolled(STEPS).says.startswith("2 choices; ")


def test_bars_of_a_softmax_are_as_high_as_its_probabilities():
    axes = plots.unrolled(STEPS[1:])._canvas.axes[0]
    high = [p.get_height() for p in axes.patches if p.get_zorder() == 4]
    assert high[0] / high[1] == pytest.approx(2) and high[1] == high[2]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "steps: 0 given, 1 to 5"),
        (3, "steps: 3; give a list of decisions"),
        ([("a", "xy", [0.5, 0.5])], r"steps\[0\]: .*give .decision"),
        ([("a", "xy", [0.5, 0.5], 0.5)], r"steps\[0\] chosen: 0.5"),
        ([("a", "xy", [0.5, 0.6], 0)], r"steps\[0\]: probabilities sum to 1.1"),
        ([("a", "xy", [1.5, -0.5], 0)], r"steps\[0\]: prob.*none is below 0"),
        ([("a", "xy", [1.0], 0)], r"steps\[0\] probabilities: has 1 values"),
        ([("a", "xy", [0.5, 0.5], 2)], "chosen is 2, of 2 options"),
    ],
)
def test_bad_steps_are_named(steps, message):
    with pytest.raises(ValueError, match=message):
        plots.unrolled(steps)


def test_mbconv_counts_weights_as_equation_10_1():
    figure = plots.mbconv(24, 144, 24, squeezed=6)
    # 24 * 144 + 9 * 144 + 144 * 24, and 2 * 144 * 6 + 144 + 6 in the gate.
    assert figure.says == (
        "24 channels become 144 and then 24: 8,208 weights in the convolutions and "
        "1,878 in the gate."
    )
    assert "expand 3,456 weights, depthwise 1,296 weights" in figure.alt
    assert figure.alt.endswith("The input is added at the end.")


def test_mbconv_leaves_out_what_a_block_has_not():
    first = plots.mbconv(32, 32, 16)  # B0's first stage: no expansion
    assert "expand" not in first.alt and "squeeze" not in first.alt.lower()
    assert first.alt.endswith("Nothing is added.")
    assert "Nothing is added." in plots.mbconv(40, 240, 40, stride=2).alt
    assert first.says.endswith("800 weights in the convolutions.")  # 288 + 512


@pytest.mark.parametrize(
    ("numbers", "options", "message"),
    [
        ((0, 6, 6), {}, "channels: 0; give a whole number"),
        ((4, 24, 4), {"squeezed": 0}, "squeezed: 0"),
        ((4, 24, 4.5), {}, "filters: 4.5"),
        (("4", 24, 4), {}, "channels: '4'"),
        ((4, 24, 4), {"kernel": None}, "kernel: None"),
        ((4, 24, float("nan")), {}, "filters: nan"),
        ((4, 24, 4), {"highlight": 3}, "highlight: 3; give a list of parts"),
        ((4, 4, 4), {"highlight": "expand"}, "highlight: 'expand' is no part"),
        ((4, 24, 8), {"highlight": ["residual"]}, "'residual' is no part"),
    ],
)
def test_bad_blocks_are_named(numbers, options, message):
    with pytest.raises(ValueError, match=message):
        plots.mbconv(*numbers, **options)
