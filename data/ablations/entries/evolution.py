"""An entry of the board: regularized evolution, as chapter 07 has it.

    python -m lib.road.challenge trainings data/ablations/entries/evolution.py \\
        --name "regularized evolution (ours)"
"""

from lib.nas import search as searches
from lib.road import challenge


def search(ask, space, seed):
    """Ask cells until one of the best per cent is met, or no more may be asked."""
    searches.regularized_evolution(space, ask, challenge.MOST_ASKED, seed)
