import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.edits.c4_lines import C4Lines
from seedbed.curate.filters.c4_quality import C4Quality
from seedbed.text.rules.punkt import line_sentences
from seedbed.text.spacy.sentences import spacy_sentences
from tests.conftest import examples

PIECES = [
    "One two three four. ",
    "word ",
    "Is it? ",
    "java",
    "JavaScript ",
    "script",
    "Lorem ",
    "lorem ipsum ",
    "Ipsum ",
]
PIECES += [
    "{",
    "[12]",
    "[]",
    "[[1]]",
    "[edit]",
    "[citation needed]",
    "[١]",
    "use cookies ",
    "Cookie Policy ",
    "Privacy",
]
PIECES += [
    " policy",
    "terms of u\u017fe ",
    "javascr\u0130pt ",
    "jav\u0131script ",
    "COO\u212aIES ",
    "uses ",
    "...",
    "\u2026",
]
PIECES += [
    ".",
    "!",
    '"',
    "'",
    "\n",
    "\n",
    "\r\n",
    "\r",
    "\x1c",
    "\x85",
    "\u2028",
    "\u2029",
    "\u2027",
    " ",
    "  ",
    "\u3000",
]
PIECES += ["x" * 600, "größe ", "语言 "]
TEXTS = st.lists(st.lists(st.sampled_from(PIECES), max_size=50).map("".join), min_size=1, max_size=4)
POLICIES = ["terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"]
CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")


def one_pass(text, dialect, terminal, min_words, min_sentences, count):
    """The published order of rules, page by page: the cleaned text, or None where the page is dropped."""
    kept, n_sentences = [], 0
    for line in text.splitlines():
        line = line.strip()
        words = line.split()
        if any(len(word) > 1000 for word in words):
            continue
        line = CITATION.sub("", line)
        ends = tuple(".?!\"'") if dialect == "datatrove" else tuple('.?!"')
        if terminal and (not line.endswith(ends) or line.endswith("...")):
            continue
        if len(words if dialect == "datatrove" else line.split()) < min_words:
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
        n_sentences += int(DocumentBatch.of([line]).derive(count)[0])
        kept.append(line)
    return "\n".join(kept).strip() if n_sentences >= min_sentences else None


def step_by_step(text, min_words):
    """DCLM's c4.yaml up to its count of sentences: the cleaned text, or None where the page is dropped."""
    lines = [line for line in text.split("\n") if all(len(word) <= 1000 for word in line.split())]
    lines = [CITATION.sub("", line) for line in lines]
    lines = [line for line in lines if not line or re.search(r'[.!?"\u2026]\s*$', line)]
    lines = [line for line in lines if not re.search(r"(?:\.\.\.|\u2026)\s*$", line)]
    lines = [line for line in lines if not line or len(line.split()) >= min_words]
    if any("lorem ipsum" in line.lower() for line in lines):
        return None
    lines = [line for line in lines if not re.search("javascript", line, re.IGNORECASE)]
    if any("{" in line for line in lines):
        return None
    lines = [line for line in lines if not re.search("|".join(POLICIES), line, re.IGNORECASE)]
    return "\n".join(lines).strip()


def edit(text, **parameters):
    return C4Lines(**parameters).edit(DocumentBatch.of([text])).texts.to_pylist()[0]


def both(texts, lines, quality):
    """What the edit leaves where the filter keeps the page, else None."""
    edited = lines.edit(DocumentBatch.of(texts)).texts.to_pylist()
    failures = quality.failures(quality.measure(DocumentBatch.of(edited))).values()
    return [None if any(rows[d] for rows in failures) else text for d, text in enumerate(edited)]


@examples(100)
@given(TEXTS, st.booleans())
def test_paper_edit_then_filter_is_the_one_pass_original(texts, terminal):
    found = both(texts, C4Lines(terminal_punctuation=terminal), C4Quality())
    assert found == [one_pass(text, "paper", terminal, 5, 3, line_sentences("3.4")) for text in texts]


@examples(100)
@given(TEXTS)
def test_datatrove_edit_then_filter_is_the_one_pass_original(texts):
    lines = C4Lines(dialect="datatrove", min_words_per_line=3)
    found = both(texts, lines, C4Quality(dialect="datatrove", min_sentences=5))
    assert found == [one_pass(text, "datatrove", True, 3, 5, spacy_sentences) for text in texts]


@examples(100)
@given(TEXTS)
def test_dclm_edit_then_filter_is_the_steps_of_the_original(texts):
    lines = C4Lines(dialect="dclm", min_words_per_line=3)
    found = both(texts, lines, C4Quality(dialect="dclm", min_sentences=None))
    assert found == [step_by_step(text, 3) for text in texts]


@examples(100)
@given(TEXTS)
def test_dolma_keeps_whole_lines(texts):
    for text, found in zip(texts, [edit(text, dialect="dolma", min_words_per_line=3) for text in texts], strict=True):
        lines = text.split("\n")
        kept = [
            line + "\n" * (number < len(lines) - 1)
            for number, line in enumerate(lines)
            if line.strip().endswith((".", "?", "!", '"')) and len(line.split()) >= 3
        ]
        assert found == "".join(kept)


def test_line_rules_by_hand():
    good = "This is quite a line."
    assert edit(f"{good}\nno full stop here at all\nOne, two, three, four.\nIt trails off in dots...\n  {good}  ") == (
        f"{good}\n{good}"
    )
    assert edit("Menu of many many things", terminal_punctuation=False) == "Menu of many many things"
    assert edit(f"{'x' * 1001} is far too long a word.") == ""
    assert edit(f"{'x' * 1000} is not too long yet.") != ""
    assert edit(f"{'x' * 1001} is not judged at all.", max_word_length=None) != ""
    assert edit("As was shown[12][edit] by all[citation needed] of[[1]] them.") == "As was shown by all of[] them."
    assert edit("Please enable JavaScript to go on.") == ""
    assert edit("We use cookies on this site.") == ""
    assert edit("") == edit("\n \n") == ""


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_lines_end_where_python_ends_them(end):
    good = "This is quite a line."
    assert edit(f"{good}{end}{good}") == f"{good}\n{good}"
    assert edit(f"{good}{end}{good}", dialect="dclm") == f"{good}{end}{good}"


def test_lines_for_which_the_page_goes_stay():
    brace = "This one has a { brace."
    assert edit(brace) == brace
    assert edit("see http://x/javascript.js for {it} and more.") == ""  # the JavaScript rule comes first
    assert edit("We use cookies { here and there.") != ""  # the brace comes before policies
    assert edit("A {\nThis is quite a line.") == "This is quite a line."  # already removed: the page stays
    both_phrases = "Lorem ipsum with javascript too."
    assert edit(both_phrases) == both_phrases


@pytest.mark.parametrize(
    ("ending", "stays_in"),
    [
        (".", "paper datatrove dclm dolma"),
        ("...", "dolma"),
        ("\u2026", ""),
        (". . .", "paper datatrove dclm dolma"),
        (". ", "paper datatrove dclm dolma"),
        ("'", "datatrove"),
        ('"', "paper datatrove dclm dolma"),
        ("[1].", "paper datatrove dclm dolma"),
        (".[1]", "paper datatrove dclm"),
        (". [1]", "dclm"),
    ],
)
def test_line_endings_by_dialect(ending, stays_in):
    """Seed 10: what a line may end in, as each original has it."""
    line = f"Here are five words or more{ending}"
    stays = [name for name in ("paper", "datatrove", "dclm", "dolma") if edit(line, dialect=name)]
    assert stays == stays_in.split()


def test_words_are_counted_before_or_after_citations():
    line = "[1] [2] three four five."
    assert edit(line) == ""
    assert edit(line, dialect="datatrove") == "three four five."


def test_a_brace_drops_the_page_only_from_a_line_that_stays():
    """Seed 11, with "javascript" inside a URL."""
    good = "These are six words, I think."
    pages = [f"short {{\n{good}", f"Here is {{ on a line.\n{good}", f"At http://a/javascript.js is {{ a brace.\n{good}"]
    assert both(pages, C4Lines(), C4Quality(min_sentences=1)) == [good, None, good]
    lines, quality = C4Lines(dialect="datatrove"), C4Quality(dialect="datatrove", min_sentences=1)
    assert both(pages, lines, quality) == [good, None, good]
    whole_page = C4Quality(dialect="dolma", max_javascript=0, min_sentences=None)
    failures = whole_page.failures(whole_page.measure(DocumentBatch.of([*pages, good])))
    assert failures["max_curly_braces"].tolist() == [True, True, True, False]
    assert failures["max_javascript"].tolist() == [False, False, True, False]
