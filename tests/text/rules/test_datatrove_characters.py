"""The sets of datatrove 0.10.1 (datatrove/utils/text.py): 159 and 281 characters."""

import hashlib

import numpy as np

from seedbed.text.rules.datatrove_characters import punctuation, terminals


def digest(flags):
    return hashlib.sha256("".join(map(chr, np.flatnonzero(flags))).encode()).hexdigest()[:16]


def test_the_sets_are_datatroves():
    assert (int(terminals().sum()), int(punctuation().sum())) == (159, 281)
    assert digest(terminals()) == "223fdebf0f768738"
    assert digest(punctuation()) == "add6d54a8847e51e"
    assert not terminals()[[ord('"'), ord("…")]].any()
    assert punctuation()[[ord('"'), ord("…"), ord("»"), 0, 0x85, ord("１")]].all()
    assert not punctuation()[[9, 10, ord("a"), ord("0"), ord("•"), ord("–") + 2]].any()
