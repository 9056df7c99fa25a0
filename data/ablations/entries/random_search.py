"""An entry of the board: blind draws, as chapter 07 has it.

    python -m lib.road.challenge trainings data/ablations/entries/random_search.py \\
        --name "random search (ours)"
"""

from lib.nas import search as searches
from lib.road import challenge


def search(ask, space, seed):
    """Ask cells until one of the best per cent is met, or no more may be asked."""
    searches.random_search(space, ask, challenge.MOST_ASKED, seed)
