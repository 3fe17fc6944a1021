from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.text.words.lists import WordList
from tests.conftest import examples

quick = examples(200)


@quick
@given(
    st.lists(st.text(alphabet="abé中", max_size=6), max_size=12),
    st.lists(st.text(alphabet="abé中", max_size=40), max_size=4),
)
def test_as_python_finds_substrings(words, texts):
    found = WordList.of(words).count(*DocumentBatch.of(texts).text_buffers()).tolist()
    assert found == [sum(word in text for word in set(words) if word) for text in texts]


def test_a_word_inside_another():
    words = WordList.of(["she", "he", "hers", "his", "he", ""])
    assert words.n_words == 4
    assert words.count(*DocumentBatch.of(["ushers", "hehehe", "", "sh"]).text_buffers()).tolist() == [3, 1, 0, 0]
