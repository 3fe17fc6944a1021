"""Dolma's pii_regex_with_counts_fast_v2: [kind, start, end] in characters of what it tags.

pip install dolma==1.2.1
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from dolma.core.data_types import Document
from dolma.taggers.pii import FastPiiRegex
from peer import answer

TAGGER = FastPiiRegex()
KINDS = {"EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "IP_ADDRESS": "ipv4"}


def measure(text):
    spans = TAGGER.predict(Document(source="", version="", id="", text=text)).spans
    return {"found": [[KINDS[span.type], span.start, span.end] for span in spans if span.type in KINDS]}


answer(measure)
