"""ChineseWebText's rules against their own sentences in plain Python, and worked examples."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.chinese_web_text import ChineseWebText
from tests.conftest import examples

quick = examples(150)
PROSE = "河水在夜里上涨，到了早晨，低处的草地已经被淹没，村民们撑着小船去看望住在对岸的亲戚。"
OTHERS = [
    "图书馆每天上午九点开门，读者可以在那里借阅书籍、报纸和杂志，也可以使用公共电脑。",
    "他把旧自行车修好以后，骑着它沿着运河走了很远，直到太阳落山才慢慢回家吃晚饭。",
    "市场上卖菜的人很早就来了，他们把新鲜的蔬菜整整齐齐地摆在木板上，等着客人来挑选。",
    "老师让学生们写一篇关于春天的作文，有的写花，有的写雨，还有一个孩子写了他的祖父。",
    "工程师们花了三年时间才把这座桥造好，现在每天有上万辆汽车从上面经过。",
    "冬天的山里很安静，只有偶尔从树枝上落下的雪发出轻轻的声音，惊醒了睡着的鸟。",
]
GOOD = "\n".join([PROSE, *OTHERS])


def broken(text: str, **parameters) -> list[str]:
    method = ChineseWebText(**parameters)
    return [rule for rule, found in method.failures(method.measure(DocumentBatch.of([text]))).items() if found[0]]


def test_good_prose_passes_and_each_rule_finds_its_own():
    assert broken(GOOD) == []
    assert broken(PROSE) == ["min_chars"]
    assert broken(GOOD[:200]) == ["min_chars"], "its code drops a text of 200 characters"
    assert broken(GOOD[:201]) == []
    assert broken("\n".join(GOOD[i : i + 7] for i in range(0, len(GOOD), 7))) == ["min_average_line_chars"]
    assert broken(GOOD + " ".join(map(str, range(1000, 1300)))) == ["min_chinese_chars"]
    assert broken(GOOD.replace("书", "書", 1)) == ["max_traditional_chars"]
    assert broken(GOOD.replace("，", "「", 1)) == ["max_traditional_chars"]
    assert broken(GOOD + "。" + PROSE * 8) == ["max_repeated_13grams"]


def test_characters_that_both_kinds_of_chinese_write():
    assert broken(GOOD + "乾隆皇帝的著作里有的字没有简化。") == [], "simplified text writes 乾 and 著 too"


def test_a_word_list(tmp_path: Path):
    file = tmp_path / "words.txt"
    file.write_text("类\t河水\n类\t草地\n小船\n\n村民\n没有这个", encoding="utf-8")
    assert broken(GOOD, word_list=str(file)) == ["max_sensitive_words"], "4 words in 7 lines"
    assert broken(GOOD + "\n" + OTHERS[0][:30], word_list=str(file)) == [], "4 words in 8 lines"
    other = tmp_path / "copy.txt"
    other.write_bytes(file.read_bytes())
    assert ChineseWebText(word_list=str(file)).identity() == ChineseWebText(word_list=str(other)).identity()
    assert ChineseWebText(word_list=str(file)).identity() != ChineseWebText().identity()
    with pytest.raises(SeedbedError, match=r"none\.txt"):
        broken(GOOD, word_list=str(tmp_path / "none.txt"))


def plain_repetition(text: str, n: int = 13) -> float:
    tidy = text.strip().lower()
    for mark in " \n\t":
        tidy = tidy.replace(mark, "")
    grams = [tidy[i : i + n] for i in range(len(tidy) - n)] if len(tidy) >= n else [tidy]
    repeated = sum(count for count in Counter(grams).values() if count > 1)
    return repeated / len(grams) if grams else 0.0


@quick
@given(
    st.lists(
        st.sampled_from([PROSE, OTHERS[0], "ABC 123\t", "\n", " \u3000", "天地玄黄", "aBcDefGhIjkLmN"]), max_size=12
    )
)
def test_against_plain_python(pieces):
    text = "".join(pieces)
    (row,) = ChineseWebText().measure(DocumentBatch.of([text])).to_pylist()
    lines = text.split("\n")
    assert row["chars"] == len(text)
    assert row["average_line_chars"] == pytest.approx(len(text) / len(lines))
    assert row["chinese_chars"] == pytest.approx(sum("\u4e00" <= c <= "\u9fa5" for c in text) / max(1, len(text)))
    assert row["repeated_13grams"] == pytest.approx(plain_repetition(text))
