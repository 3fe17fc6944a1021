import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.edits.refinedweb_lines import RefinedwebLines
from seedbed.curate.filters.refinedweb_removal import RefinedwebRemoval
from tests.conftest import examples

PIECES = [
    "word ",
    "TWO WORDS",
    "Sign",
    "Sign-in ",
    "sign in",
    "\u017fign-\u0130n",
    "Sign-up",
    "read more",
    "Read More...",
]
PIECES += ["\u2026", ">>", "items in cart", " items in cart ", "3", "1,234.5K ", "likes", "views.", "Comments", "12"]
PIECES += [
    " boo\u212amarks",
    "²",
    "½",
    "Ⅷ",
    "٣",
    "é",
    "\u0301",
    "語",
    "_",
    ".",
    "-",
    "\n",
    "\n",
    "\n\n",
    " ",
    "  ",
    "\u00a0",
]
PIECES += ["\u3000", "\t", "ｓｉｇｎ", "İ", "´", "\x00", "a b c d e f g h i j "]
TEXTS = st.lists(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), min_size=1, max_size=4)
COUNTED = "likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads|views|followers"
COUNTER = re.compile(rf"^\W*\d(?:,|\.|\d)*(?:K|k|M|m|B|b)?\s+(?:{COUNTED})\W*$")
CUTS = [r"\s?(?:items in cart)", r"\s?(?:read more...)$", r"^(?:sign-in)\s?"]


def dclm(text):
    """The steps of dclm_baseline_refinedweb.yaml."""
    for rule in (
        lambda line: sum(map(str.isupper, line)) / len(line) <= 0.5,
        lambda line: sum(map(str.isdigit, line)) / len(line) <= 0.999999,
        lambda line: not COUNTER.search(line.lower()),
    ):
        text = "\n".join(line for line in text.split("\n") if not line or rule(line)).strip()
    lines = [line for line in text.split("\n") if not line or len(line.split()) >= 2]
    for cut in CUTS:
        left = []
        for line in lines:
            short = re.sub(cut, "", line, flags=re.IGNORECASE) if len(line.split()) <= 10 else line
            if not line or not (short == "" or short.isspace()):
                left.append(short)
        lines = "\n".join(left).strip().split("\n")
    return "\n".join(lines)


def redstone(text):
    """The rules of RedStone on lines: (what is left, share of words that went)."""
    kept, counts = [], [0, 0]
    for line in text.split("\n"):
        plain = unicodedata.normalize("NFKC", line).lower().strip()
        plain = re.sub("[ \u1680\u2000-\u200a\u202f\u205f]+", " ", plain)
        letters = [c for c in line if c.isalpha()]
        goes = bool(letters) and sum(unicodedata.category(c) == "Lu" for c in letters) / len(letters) > 0.6
        goes |= bool(plain) and all(unicodedata.category(c)[0] in "NZC" for c in plain)
        goes |= re.fullmatch(r"\d+\s+[a-zA-Z]+", plain.strip()) is not None
        goes |= len(plain.split()) == 1
        goes |= re.search("^sign in|^sign-in|^sign up|^sign-up|read more...$|items in cart", plain) is not None
        counts[goes] += len(plain.split())
        if not goes:
            kept.append(line)
    return "\n".join(kept), counts[1] / sum(counts) if sum(counts) else 1.0


def edit(text, dialect="dclm"):
    return RefinedwebLines(dialect=dialect).edit(DocumentBatch.of([text])).texts.to_pylist()[0]


def removed(text, dialect="dclm"):
    """(fraction of words removed, whether the page is dropped)."""
    method = RefinedwebRemoval(dialect=dialect)
    signals = method.measure(DocumentBatch.of([text]))
    return signals.to_pylist()[0]["removed_words"], bool(method.failures(signals)["max_removed_words"][0])


@examples(200)
@given(TEXTS)
def test_dclm_is_the_steps_of_the_original(texts):
    found = RefinedwebLines().edit(DocumentBatch.of(texts)).texts.to_pylist()
    assert found == [dclm(text) for text in texts]


@examples(200)
@given(TEXTS)
@example(["sign i\u0144"])
@example(["sign in\u0301", "sign in\u0329\u0301", "read more\u1100\u1161\u11a8..", "sign \uff49\uff4e\u0302"])
def test_redstone_is_the_original_on_lines(texts):
    batch = DocumentBatch.of(texts)
    found = RefinedwebLines(dialect="redstone").edit(batch).texts.to_pylist()
    shares = RefinedwebRemoval(dialect="redstone").measure(batch).column("removed_words").to_pylist()
    assert list(zip(found, shares, strict=True)) == [redstone(text) for text in texts]


@pytest.mark.parametrize(
    ("line", "dclm_left", "redstone_left"),
    [
        ("Just a line.", "Just a line.", "Just a line."),
        ("ALL IN CAPITALS", "", ""),
        ("HALF half", "HALF half", "HALF half"),  # 4 of 9 characters; 0.5 of the letters
        ("2024 1234", "2024 1234", ""),  # the blank is no digit to DCLM
        ("20241234", "", ""),
        ("1,234K likes", "", "1,234K likes"),
        ("3 emails", "3 emails", ""),
        ("Word", "", ""),
        ("Sign in", "Sign in", ""),
        ("Sign-in here", "here", ""),
        ("Please sign in", "Please sign in", "Please sign in"),
        ("To be read on, read more...", "To be read on,", ""),
        ("Go on, read more…", "Go on, read more…", ""),  # NFKC makes three dots of it
        ("  Sign-in here", "here", ""),  # the first line is stripped before
        ("Two words\n  Sign-in here", "Two words\n  Sign-in here", "Two words"),
        ("Two items in cart today", "Two today", ""),
    ],
)
def test_line_rules_by_dialect(line, dclm_left, redstone_left):
    assert (edit(line), edit(line, "redstone")) == (dclm_left, redstone_left)


def test_sign_in_is_judged_alike_in_the_first_and_in_the_thousandth_document():
    """Seed 13: RedStone's patterns are a generator, used up by the first line that is searched to the end."""
    page = "Sign in\nThis is the text of a page."
    texts = [page, *["A page without any button."] * 998, page]
    found = RefinedwebLines(dialect="redstone").edit(DocumentBatch.of(texts)).texts.to_pylist()
    assert found[0] == found[999] == "This is the text of a page."


@pytest.mark.parametrize("dialect", ["dclm", "redstone"])
def test_five_percent_of_the_words_may_go_and_no_more(dialect):
    """Seed 14: 5 of 100 words are removed, then 51 of 1,000."""
    prose = "these are words in lines of ten that all stay"
    exactly = "\n".join([prose] * 9 + ["five words more stay here"] + ["LOUD"] * 5)
    assert removed(exactly, dialect) == (0.05, False)
    above = "\n".join([prose] * 94 + ["these nine words of a line also all stay"] + ["LOUD"] * 51)
    assert removed(above, dialect) == (0.051, True)


def test_a_text_without_words_is_removed():
    assert removed("") == removed("...\n", "dclm") == removed(" \n", "redstone") == (1.0, True)
    assert edit("") == edit(" \n\n", "dclm") == ""
