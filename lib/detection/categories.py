"""What an output of a detector means: its category, an id and a name.

A label is the number of an output, counted from 0. An id is what a COCO file writes,
and may have gaps: 80 categories have ids from 1 to 90, and published detectors have 90
outputs, ten of which never meant anything. Who guesses the way from one to the other
judges wrong classes without a word, so a detector carries it in `config.categories`.

For `coco_eval`, chapter 16, and for what trains on a folder.
"""

import textwrap
from collections.abc import Iterable
from typing import NamedTuple

from torchvision.models import detection


class Category(NamedTuple):
    """One kind of thing; the name is None where nobody has said it."""

    id: int
    name: str | None


def _coco() -> tuple[Category | None, ...]:
    names = detection.RetinaNet_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    pairs = [Category(k, name) for k, name in enumerate(names)]
    return tuple(None if pair.name == "N/A" else pair for pair in pairs[1:])


COCO = _coco()  # of each of 90 outputs; None for those without a category


def numbered(names: Iterable[str | None]) -> tuple[Category, ...]:
    """Categories with the ids 1, 2, 3 and so on, as drawn scenes have them.

    >>> numbered(["cat", "dog"])[1]
    Category(id=2, name='dog')
    """
    return tuple(Category(i, name) for i, name in enumerate(names, start=1))


def of_data(dataset, count: int) -> tuple[Category, ...]:
    """The categories of a dataset in the order of its labels.

    A `CocoFolder` has `category_ids` and `names`. Without ids they are 1, 2, 3 and so
    on; without names too there are `count` of them.
    """
    names, ids = (getattr(dataset, key, None) for key in ("names", "category_ids"))
    if ids is None:
        return numbered([None] * count if names is None else names)
    names = [None] * len(ids) if names is None else names
    return tuple(Category(*pair) for pair in zip(ids, names, strict=True))


def listed(categories: Iterable[Category | None]) -> str:
    """Categories in one line for a message, cut where it gets long."""
    known = [each for each in categories if each is not None]
    pairs = ", ".join(f"{each.id} {each.name or '?'}" for each in known)
    return f"{len(known)} categories ({textwrap.shorten(pairs, 300)})"


def insist_same(first, second, called: tuple[str, str]) -> None:
    """ValueError with both lists unless two datasets have the same ids and names.

    `called` are the words for the two, such as the paths of their files.
    """
    lists = [of_data(dataset, 0) for dataset in (first, second)]
    if lists[0] != lists[1]:
        told = zip(called, map(listed, lists), strict=True)
        told = " and ".join(f"{word} has {pairs}" for word, pairs in told)
        raise ValueError(f"{told}; ids and names must be the same in both")


def ids_of_outputs(config, dataset) -> list[int | None]:
    """The id that a dataset has for each output of a detector; None where it has none.

    Names decide: an official detector may be judged on two of its 80 categories, under
    other ids. A detector that does not say what its outputs are must have as many as
    the dataset has categories; then the order decides. ValueError gives both lists.
    """
    theirs = of_data(dataset, config.num_classes)
    # Plain pairs where a file was read.
    pairs = getattr(config, "categories", ())
    outputs = [None if pair is None else Category(*pair) for pair in pairs]
    if not outputs:
        if len(theirs) != config.num_classes:
            raise ValueError(
                f"the detector has {config.num_classes} outputs and does not say what"
                f" they mean, the data has {listed(theirs)}; set config.categories"
            )
        return [category.id for category in theirs]
    key = _key(theirs)
    ids = {key(category): category.id for category in theirs}
    unknown = ids.keys() - {key(each) for each in outputs if each is not None}
    if unknown:
        raise ValueError(
            f"the detector has {listed(outputs)}, the data has {listed(theirs)}; it"
            f" does not know {sorted(map(str, unknown))}"
        )
    return [None if each is None else ids.get(key(each)) for each in outputs]


def _key(categories: tuple[Category, ...]):
    """What tells these categories apart: the name, or where names repeat both."""
    names = [str(category.name).strip().casefold() for category in categories]
    if None in [category.name for category in categories]:
        return lambda category: category.id
    if len(set(names)) < len(names):
        return tuple
    return lambda category: str(category.name).strip().casefold()
