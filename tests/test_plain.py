"""Plain functions: remembered as they are, and another in their place is told apart."""

from lib.basics import plain
from lib.detection import decoding
from lib.exercises import places


def test_a_plain_function_is_given_back_as_it_is():
    def one(x):
        return x

    assert plain.ours(one) is one
    assert plain.is_ours(one) and not plain.is_ours(lambda x: x)


def test_whatever_stands_in_is_not_ours():
    """Even the course's own, where it is put there as a learner's would be."""
    own = decoding.greedy
    assert plain.is_ours(decoding.greedy)
    with places.standing("detection.decoding.greedy", own):
        assert not plain.is_ours(decoding.greedy)
    assert plain.is_ours(decoding.greedy)
