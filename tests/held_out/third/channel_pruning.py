"""Chapter 18: answers from the task texts."""

import torch

from tests.held_out import right, wrong


@wrong("channel_pruning.keep_places", "changes the dictionary that came")
def keep_places_1(tensors, kept):
    for (name, dim), places in kept.items():
        tensors[name] = tensors[name].index_select(dim, torch.tensor(places))
    return tensors


@wrong("channel_pruning.keep_places", "takes always from the first dimension")
def keep_places_2(tensors, kept):
    out = dict(tensors)
    for name, dim in kept:
        out[name] = out[name][kept[name, dim]]
    return out


@wrong("channel_pruning.keep_places", "of two dimensions only the last one is cut")
def keep_places_3(tensors, kept):
    out = dict(tensors)
    for (name, dim), places in kept.items():
        out[name] = tensors[name].index_select(dim, torch.tensor(places))
    return out


@wrong("channel_pruning.keep_places", "what is not named is left out")
def keep_places_4(tensors, kept):
    out = {}
    for (name, dim), places in kept.items():
        source = out.get(name, tensors[name])
        out[name] = source[places] if dim == 0 else source[:, places]
    return out


@wrong("channel_pruning.keep_places", "the listed places go and the others stay")
def keep_places_5(tensors, kept):
    out = dict(tensors)
    for (name, dim), places in kept.items():
        gone = set(places)
        stay = [i for i in range(out[name].shape[dim]) if i not in gone]
        out[name] = out[name].index_select(dim, torch.tensor(stay, dtype=torch.long))
    return out


@wrong("channel_pruning.keep_places", "a weight is always cut along the columns")
def keep_places_6(tensors, kept):
    out = {}
    for name, tensor in tensors.items():
        for (other, _dim), places in kept.items():
            if other == name:
                tensor = tensor[:, places] if tensor.ndim > 1 else tensor[places]
        out[name] = tensor
    return out


@right("channel_pruning.keep_places")
def keep_places_7(tensors, kept):
    out = dict(tensors)
    for (name, dim), places in kept.items():
        index = torch.as_tensor(places, dtype=torch.long)
        out[name] = out[name].index_select(dim, index)
    return out


@right("channel_pruning.keep_places")
def keep_places_8(tensors, kept):
    out = {}
    for name, tensor in tensors.items():
        if (name, 0) in kept:
            tensor = tensor[kept[name, 0]]
        if (name, 1) in kept:
            tensor = tensor[:, kept[name, 1]]
        out[name] = tensor.clone()
    return out


@right("channel_pruning.keep_places")
def keep_places_9(tensors, kept):
    def cut(name, tensor):
        for dim in range(tensor.ndim):
            if (name, dim) in kept:
                slices = tensor.unbind(dim)
                tensor = torch.stack([slices[i] for i in kept[name, dim]], dim)
        return tensor

    return {name: cut(name, tensor) for name, tensor in tensors.items()}


@wrong("channel_pruning.taylor", "the magnitude of each product, then the sum")
def taylor_1(weights, gradients):
    return (weights * gradients).abs().sum(dim=1)


@wrong("channel_pruning.taylor", "no magnitude at the end")
def taylor_2(weights, gradients):
    return (weights * gradients).sum(dim=1)


@wrong("channel_pruning.taylor", "the mean in place of the sum")
def taylor_3(weights, gradients):
    return (weights * gradients).mean(dim=1).abs()


@wrong("channel_pruning.taylor", "sums over the channels, one number a column")
def taylor_4(weights, gradients):
    return torch.abs(torch.sum(weights * gradients, dim=0))


@wrong("channel_pruning.taylor", "the product of the sums, not the sum of the products")
def taylor_5(weights, gradients):
    return (weights.sum(dim=1) * gradients.sum(dim=1)).abs()


@wrong("channel_pruning.taylor", "squares the sum in place of its magnitude")
def taylor_6(weights, gradients):
    return (weights * gradients).sum(dim=1) ** 2


@right("channel_pruning.taylor")
def taylor_7(weights, gradients):
    return (weights * gradients).flatten(1).sum(1).abs()


@right("channel_pruning.taylor")
def taylor_8(weights, gradients):
    return [
        abs(float(torch.dot(w.flatten(), g.flatten())))
        for w, g in zip(weights, gradients, strict=True)
    ]


@right("channel_pruning.taylor")
def taylor_9(weights, gradients):
    rows = len(weights)
    w = weights.reshape(rows, 1, -1)
    g = gradients.reshape(rows, -1, 1)
    change = torch.bmm(w, g).reshape(rows)
    return torch.where(change < 0, -change, change)
