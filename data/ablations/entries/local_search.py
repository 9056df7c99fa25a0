"""An entry of the board: local search, as chapter 07 has it.

    python -m lib.road.challenge trainings data/ablations/entries/local_search.py \\
        --name "local search (ours)"
"""

from lib.nas import search as searches
from lib.road import challenge


def search(ask, space, seed):
    """Ask cells until one of the best per cent is met, or no more may be asked."""
    searches.local_search(space, ask, challenge.MOST_ASKED, seed)
