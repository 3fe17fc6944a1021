import re
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.errors import RecipeError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.bad_words import BadWords
from tests.conftest import examples

ENGLISH = ["darn", "Heck no", "c++", "x"]


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    (folder / "en").write_text("\n".join(ENGLISH) + "\n")
    (folder / "de.txt").write_text("mist\n")
    (folder / "zh").write_text("坏话\n性\n")
    (folder / "ja").write_text("グロ\nわるい\n")
    return folder


def count(lists, text, language="en"):
    batch = DocumentBatch.of([text], language=[language])
    return BadWords(lists=str(lists)).measure(batch)["bad_words"].to_pylist()[0]


PIECES = [
    "darn",
    "DARN",
    "heck no",
    "heck",
    " ",
    "no",
    "c++",
    "c",
    "+",
    "x",
    "_",
    "-",
    "é",
    "坏话",
    "\n",
    "1",
    "darned",
]


@examples(200)
@given(st.lists(st.sampled_from(PIECES), max_size=15).map("".join))
def test_a_page_has_bad_words_where_the_original_pattern_matches(lists, text):
    words = "|".join(re.escape(word.lower()) for word in ENGLISH)
    original = re.compile(rf"(?:\W|^)({words})(?:\W|$)")
    assert (count(lists, text) > 0) == (original.search(text.lower()) is not None)
    assert (count(lists, text, "zh") > 0) == ("坏话" in text)


def test_words_are_counted_by_language(lists):
    assert count(lists, "Darn, that darn cat. Heck no! darned") == 3
    assert count(lists, "So ein Mist, darn.", "de") == 1
    assert count(lists, "darn", "") == 1
    assert count(lists, "darn", "fr") == 0
    assert count(lists, "这是坏话吗，性别", "zh") == 1
    assert count(lists, "グロテスクなわるいこと", "ja") == 1
    method = BadWords(lists=str(lists))
    batch = DocumentBatch.of(["mist", "mist", "fine"], language=["de", "en", "en"])
    assert method.failures(method.measure(batch))["max_bad_words"].tolist() == [True, False, False]


def test_lists_are_content_and_needed(lists, tmp_path):
    elsewhere = shutil.copytree(lists, tmp_path / "elsewhere")
    assert BadWords(lists=str(elsewhere)).identity() == BadWords(lists=str(lists)).identity()
    shutil.rmtree(elsewhere)
    assert BadWords().measure(DocumentBatch.of(["darn"]))["bad_words"].to_pylist() == [0]
    with pytest.raises(RecipeError, match=r"bad_words\.lists.*holds no lists"):
        BadWords(lists=str(tmp_path)).identity()
    (tmp_path / "en").write_text("drat\n")
    first = BadWords(lists=str(tmp_path)).measuring()
    assert count(tmp_path, "drat") == 1
    (tmp_path / "en").write_text("blast\n")
    assert BadWords(lists=str(tmp_path)).measuring() != first
    assert count(tmp_path, "drat") == 0
