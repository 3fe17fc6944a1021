"""datatrove's PIIFormatter: [kind, start, end] in characters of what it would replace.

pip install datatrove==0.10.1
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from datatrove.pipeline.formatters.pii import PIIFormatter
from peer import answer

FORMATTER = PIIFormatter()


def measure(text):
    found = [["email", *match.span()] for match in FORMATTER.emails_replacer.regex.finditer(text)]
    numbers = FORMATTER.ip_replacer.regex.finditer(text)
    found += [["ipv4", *match.span()] for match in numbers if FORMATTER.ip_replacer.validator(match.group(0))]
    return {"found": found}


answer(measure)
