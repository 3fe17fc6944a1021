"""Words in scripts without spaces, against an independent reading of the rules in plain Python."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.text.words.scripts import script_words, spaced
from seedbed.text.words.whitespace import Words, split, words
from tests.conftest import examples

quick = examples(150)
EXAMPLES = {
    "使用Python编程，2024年5月。你好 world": "使|用|Python|编|程，|2024|年|5|月。|你|好|world",
    "「中文」（abc）don't": "「中|文」（|abc）don't",
    "委員会は、コーヒーを飲んだ。らーめん": "委|員|会|は、|コーヒー|を|飲|ん|だ。|らー|め|ん",
    "ｺｰﾋｰとｶﾞｽ": "ｺｰﾋｰ|と|ｶﾞｽ",
    "ภาษาไทยเป็นที่": "ภา|ษา|ไท|ย|เป็|น|ที่",
    "ແລະພາສາລາວ": "ແລະ|ພາ|ສາ|ລາ|ວ",
    "ភាសាខ្មែរ": "ភា|សា|ខ្មែ|រ",
    "မြန်မာ": "မြ|န်|မာ",
    "သတ္တဝါ": "သ|တ္တ|ဝါ",
    "안녕하세요 세계": "안녕하세요|세계",
    "hello, «мир» שלום नमस्ते": "hello,|«мир»|שלום|नमस्ते",
    "😀中😀😀文": "😀中😀😀|文",
    "": "",
    " 　\n": "",
}
ALPHABET = "ab1é-, \n\u3000\u0301。「中文々は゛ーカㇰｶﾞ한กเแา่ๅ๑ລະໂខ្ម្ា្မ္ာ်😀\u200b"


def texts_of(found: Words, batch: DocumentBatch, row: int) -> list[str]:
    data, _ = batch.text_buffers()
    return [
        data[found.start[w] : found.end[w]].tobytes().decode() for w in range(found.first[row], found.first[row + 1])
    ]


def test_worked_examples():
    batch = DocumentBatch.of(list(EXAMPLES))
    found = batch.derive(script_words)
    for row, expected in enumerate(EXAMPLES.values()):
        cut = texts_of(found, batch, row)
        assert "|".join(cut) == expected
        at = slice(found.first[row], found.first[row + 1])
        assert found.chars[at].tolist() == [len(word) for word in cut]
        assert found.alphabetic[at].tolist() == [any(c.isalpha() for c in word) for word in cut]


def plain(text: str) -> list[str]:
    """The words by the sentences of the module's docstring, one character after the other."""
    found: list[str] = []
    for run in text.split():
        word, last = "", "nothing"
        for char in run:
            kind = plain_kind(char)
            begins = kind != "attached" and last not in ("nothing", "leading", "joiner")
            begins = begins and (kind not in (last, "joiner") or kind in ("unit", "leading"))
            begins = begins or (last in ("leading", "joiner") and kind in ("letter", "katakana", "leading"))
            if begins and word:
                found.append(word)
                word = ""
            word += char
            last = last if kind == "attached" else kind
        found.append(word)
    return found


def plain_kind(char: str) -> str:
    name, category = unicodedata.name(char, ""), unicodedata.category(char)
    script = name.split(" ")[0]
    if char in "\u1039\u17d2":
        return "joiner"
    if char in "เแโใไເແໂໃໄ":
        return "leading"
    if char in "ะาำๅະາຳຽーｰﾞﾟ" or category[0] not in "LN":
        return "attached"
    if script in ("KATAKANA", "HALFWIDTH"):
        return "katakana"
    is_unit = script in ("CJK", "HIRAGANA", "THAI", "LAO", "KHMER", "MYANMAR") or char in "々〇"
    return "unit" if is_unit and category != "Nd" else "letter"


@quick
@given(st.lists(st.text(alphabet=ALPHABET, max_size=60), min_size=1, max_size=4))
def test_against_plain_python(texts):
    batch = DocumentBatch.of(texts)
    found = batch.derive(script_words)
    data, offsets = batch.derive(spaced)
    for row, text in enumerate(texts):
        assert texts_of(found, batch, row) == plain(text)
        assert data[offsets[row] : offsets[row + 1]].tobytes().decode().split() == plain(text)
    assert split(data, offsets).hash.tolist() == found.hash.tolist()


@quick
@given(st.lists(st.text(alphabet="ab1é-, \n\u3000\u0301。「😀한नकшש", max_size=60), min_size=1, max_size=4))
def test_other_scripts_are_as_they_were(texts):
    batch = DocumentBatch.of(texts)
    assert batch.derive(script_words) is batch.derive(words)
    assert batch.derive(spaced)[0] is batch.text_buffers()[0]


@pytest.mark.parametrize("text", ["中", "a中", "แ", "ก\u0e31", "\u1039က"])
def test_a_text_does_not_see_its_neighbours(text):
    alone = DocumentBatch.of([text])
    among = DocumentBatch.of(["文", text, "เ"])
    found = among.derive(script_words)
    assert texts_of(found, among, 1) == texts_of(alone.derive(script_words), alone, 0)
