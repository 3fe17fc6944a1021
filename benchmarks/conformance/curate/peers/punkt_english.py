"""NLTK's Punkt tokenizer with its English parameters, which NLTK itself would download."""

from __future__ import annotations

from collections import defaultdict

from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer
from punkt.data import english


def tokenizer() -> PunktSentenceTokenizer:
    parameters = PunktParameters()
    parameters.abbrev_types = set(english.ABBREV_TYPES)
    parameters.collocations = set(english.COLLOCATIONS)
    parameters.sent_starters = set(english.SENT_STARTERS)
    parameters.ortho_context = defaultdict(int, english.ORTHO_CONTEXT)
    return PunktSentenceTokenizer(parameters)
