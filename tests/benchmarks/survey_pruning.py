"""Which of torchvision's classification networks can be pruned, and are they right?

    python tests/benchmarks/survey_pruning.py            # all below 60 M parameters
    python tests/benchmarks/survey_pruning.py swin_t convnext_tiny

Each network gets random weights (nothing is downloaded) and one small picture. 40 % of
every group goes; the pruned network has to say what its masked twin says (Eq. 18.6), in
float64, to 1e-5 of the largest logit, and to cost what was predicted. Attention is
refused by that name; the last column then says whether all else can be pruned once the
layers with attention are named in `keep`. About 10 CPU-minutes, and no part of
`make bench`.
"""

import gc
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

import lib  # noqa: E402, F401, I001  (before torch)
import torch  # noqa: E402
import torchvision  # noqa: E402
from torch import nn  # noqa: E402

from lib.basics import profiling  # noqa: E402
from lib.compression import channel_pruning  # noqa: E402

MOST = 60e6  # parameters
SIDES = {"maxvit_t": 224, "inception_v3": 299}  # of the picture; 64 else


def networks() -> list[str]:
    """Names of all classification networks that are small enough."""
    sizes = {}
    for name in torchvision.models.list_models(module=torchvision.models):
        published = torchvision.models.get_model_weights(name).DEFAULT
        sizes[name] = published.meta["num_params"]  # said of them, not downloaded
    return [name for name, size in sizes.items() if size < MOST]


def made(name: str) -> nn.Module:
    """A network with random weights; inception and googlenet ask to be told so."""
    how = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, weights=None, **how)


def lively(model: nn.Module) -> nn.Module:
    """In eval mode, float64, and with scales and statistics that do something."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
        if isinstance(module, nn.Linear) and not module.weight.any():
            nn.init.normal_(module.weight, std=0.1)  # ViT's head begins at zero
        if hasattr(module, "layer_scale"):  # 1e-6 in ConvNeXt: would hide any fault
            nn.init.uniform_(module.layer_scale, 0.5, 1.0)
    return model.double().eval()


def attention_layers(model: nn.Module) -> list[str]:
    """The layers whose class says so."""
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    return [name for name, kind in kinds.items() if "attention" in kind.lower()]


def examined(model: nn.Module, x: torch.Tensor, ratio: float = 0.4, keep=()) -> str:
    """What came out, in words; ValueError of `plan` where nothing can."""
    plan = channel_pruning.plan(model, x, ratio, keep=keep)
    small = channel_pruning.remove_channels(model, x, plan)
    twin = channel_pruning.masked(model, plan)
    with torch.no_grad():
        mine, wanted, whole = small(x), twin(x), model(x)
    scale = wanted.abs().max()
    apart = ((mine - wanted).abs().max() / scale).item()
    changed = ((whole - wanted).abs().max() / scale).item()
    counted = profiling.parameters(small), profiling.macs(small, x)
    right = apart < 1e-5 < 1e-3 < changed
    right &= counted == (plan.parameters, plan.macs)
    share = plan.macs / profiling.macs(model, x)
    word = "pruned" if right else "WRONG"
    return f"{word}: {share:.2f} of the multiply-adds, {apart:.0e} apart"


def surveyed(name: str) -> str:
    model = lively(made(name))
    side = SIDES.get(name, 64)
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    x = x.double()
    try:
        return examined(model, x)
    except ValueError as error:
        refusal = str(error)
    if keep := attention_layers(model):
        try:
            kept = examined(model, x, keep=keep)
            return f"refused: {refusal[:90]} | with keep: {kept}"
        except ValueError as error:
            return f"refused: {refusal[:90]} | with keep too: {str(error)[:90]}"
    return f"refused: {refusal[:180]}"


def main() -> None:
    torch.set_num_threads(1)
    results = {}
    for name in sys.argv[1:] or networks():
        begun = time.perf_counter()
        results[name] = surveyed(name)
        seconds = time.perf_counter() - begun
        print(f"{name:20} {seconds:5.0f} s  {results[name]}", flush=True)
        gc.collect()
    said = list(results.values())
    pruned = sum(text.startswith("pruned") for text in said)
    attention = sum(
        text.startswith("refused") and "attention" in text.partition("|")[0]
        for text in said
    )
    print(f"{pruned} of {len(said)} pruned, {attention} refused by the name attention")


if __name__ == "__main__":
    main()
