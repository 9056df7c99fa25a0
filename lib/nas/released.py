"""The names that NASNet's tensors have in the released files; for `nasnet`.

timm's nasnetalarge and pretrainedmodels' nasnetamobile share them.
"""

import re
from collections.abc import Iterable

# Our names and those of the published files, outside and inside a cell.
_THEIRS = (
    (r"^stem\.0\.", "conv0.conv."),
    (r"^stem\.1\.", "conv0.bn."),
    (r"^classifier\.", "last_linear."),
    (r"\.current\.", ".conv_1x1."),
    (r"\.previous\.even\.", ".path_1.conv."),
    (r"\.previous\.odd\.", ".path_2.conv."),
    (r"\.previous\.joint_norm\.", ".final_path_bn."),
    (r"\.previous\.", ".conv_prev_1x1."),
    (r"\.(depth|point)wise_([12])\.", r".separable_\2.\1wise_conv2d."),
    (r"\.norm_([12])\.", r".bn_sep_\1."),
    (r"\.norm\.", ".bn."),
)


def names(keys: Iterable[str], cells: int) -> dict[str, str]:
    """The released name of each of our state dict's keys, the auxiliary head apart.

    `cells` is N, the normal cells of a stack.

    The third cell is the first normal one, its fourth branch the right of block 1:

    >>> names(["stem.0.weight"], cells=4)
    {'stem.0.weight': 'conv0.conv.weight'}
    >>> names(["cells.2.operations.3.norm.bias"], cells=4)
    {'cells.2.operations.3.norm.bias': 'cell_0.comb_iter_1_right.bn.bias'}
    """
    numbered = ["cell_stem_0", "cell_stem_1"]
    for stack in range(3):  # numbers jump to 6 and 12, even where N is 4
        if stack > 0:
            numbered.append(f"reduction_cell_{stack - 1}")
        for i in range(cells):
            numbered.append(f"cell_{6 * stack + i}")

    def cell(match: re.Match) -> str:
        return numbered[int(match[1])]

    def branch(match: re.Match) -> str:
        block, side = divmod(int(match[1]), 2)
        return f".comb_iter_{block}_{'right' if side else 'left'}."

    released = {}
    for ours in keys:
        if ours == "progress" or ours.startswith("aux."):
            continue
        name = re.sub(r"^cells\.(\d+)", cell, ours)
        name = re.sub(r"\.operations\.(\d+)\.", branch, name)
        for pattern, theirs in _THEIRS:
            name = re.sub(pattern, theirs, name)
        released[ours] = name
    return released
