import re

from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.edits.c4_lines import C4Lines
from seedbed.curate.filters.c4_quality import C4Quality
from seedbed.text.sentences import sentences

PIECES = [
    "One two three. ",
    "word ",
    "Is it? ",
    "java",
    "JavaScript ",
    "script",
    "Lorem ",
    "lorem ipsum ",
    "Ipsum ",
    "{",
    "[12]",
    "[]",
]
PIECES += [
    "[edit]",
    "[citation needed]",
    "use cookies ",
    "Cookie Policy ",
    "Privacy",
    " policy",
    ".",
    "...",
    "!",
    '"',
    "\n",
    "\n",
    "\r\n",
]
PIECES += ["\u2028", " ", "x" * 600, "größe ", "COO\u212aIES ", "uses "]
TEXTS = st.lists(st.lists(st.sampled_from(PIECES), max_size=50).map("".join), min_size=1, max_size=4)
POLICIES = ["terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"]


def one_pass(text, terminal):
    """The published order of rules, page by page: the cleaned text, or None where the page is dropped."""
    kept, n_sentences = [], 0
    for line in text.splitlines():
        line = line.strip()
        words = line.split()
        if any(len(word) > 1000 for word in words):
            continue
        line = re.sub(r"\[\d*\]|\[edit\]|\[citation needed\]", "", line)
        if terminal and (line[-1:] not in tuple(".?!\"'") or line.endswith("...")):
            continue
        if len(words) < 3:
            continue
        small = line.lower()
        if "lorem ipsum" in small:
            return None
        if "javascript" in small:
            continue
        if "{" in line:
            return None
        if any(phrase in small for phrase in POLICIES):
            continue
        n_sentences += int(DocumentBatch.of([line]).derive(sentences)[0])
        kept.append(line)
    return "\n".join(kept).strip() if n_sentences >= 5 else None


@settings(deadline=None, database=None, max_examples=100)
@given(TEXTS, st.booleans())
def test_edit_then_filter_is_the_one_pass_original(texts, terminal):
    edited = C4Lines(terminal_punctuation=terminal).edit(DocumentBatch.of(texts)).texts.to_pylist()
    method = C4Quality()
    failures = method.failures(method.measure(DocumentBatch.of(edited)))
    for row, text in enumerate(texts):
        dropped = any(rows[row] for rows in failures.values())
        assert (None if dropped else edited[row]) == one_pass(text, terminal)


def edit(text, **parameters):
    return C4Lines(**parameters).edit(DocumentBatch.of([text])).texts[0].as_py()


def test_line_rules_by_hand():
    good = "This is a line."
    assert edit(f"{good}\nno full stop here\nSo short.\nIt trails off...\n  {good}  ") == f"{good}\n{good}"
    assert edit("Menu of many things", terminal_punctuation=False) == "Menu of many things"
    assert edit(f"{'x' * 1001} is too long.") == ""
    assert edit(f"{'x' * 1000} is not too long.") != ""
    assert edit("As was shown[12][edit] by them[citation needed].") == "As was shown by them."
    assert edit("[1] two.") == ""
    assert edit("[1] two three.") == " two three.".strip()  # words are counted before citations go
    assert edit("Please enable JavaScript to go on.") == ""
    assert edit("We use cookies on this site.") == ""
    assert edit("") == edit("\n \n") == ""


def test_lines_for_which_the_page_goes_stay():
    brace = "This has a { brace."
    assert edit(brace) == brace
    assert edit("see http://x/javascript.js for {it}.") == ""  # the JavaScript rule comes first
    assert edit("We use cookies { here.") == "We use cookies { here."  # the brace comes before policies
    assert edit("A {\nThis is a line.") == "This is a line."  # already removed: the page stays
    both = "Lorem ipsum with javascript too."
    assert edit(both) == both
