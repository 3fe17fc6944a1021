"""NLTK's Punkt tokenizer with its English parameters, which NLTK itself would download.

Punkt changed between versions of NLTK. The last argument of the script that imports this may be a folder into which
`pip install --no-deps --target FOLDER nltk==X` has put the one to ask; else it is the interpreter's own.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

if Path(sys.argv[-1], "nltk", "tokenize", "punkt.py").exists():
    sys.path.insert(0, sys.argv[-1])

from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer
from punkt.data import english


def tokenizer() -> PunktSentenceTokenizer:
    parameters = PunktParameters()
    parameters.abbrev_types = set(english.ABBREV_TYPES)
    parameters.collocations = set(english.COLLOCATIONS)
    parameters.sent_starters = set(english.SENT_STARTERS)
    parameters.ortho_context = defaultdict(int, english.ORTHO_CONTEXT)
    return PunktSentenceTokenizer(parameters)
