"""The recipes for web text on prose in several languages: good prose stays, whatever its script."""

import json
from pathlib import Path

import pytest

from seedbed import api, recipe
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.by_language import in_language
from seedbed.curate.filters.gopher_quality import GopherQuality
from seedbed.pipeline import data, workplace
from seedbed.pipeline.workplace import Workplace
from tests.conftest import sample_texts
from tests.curate.test_chinese_web_text import GOOD

JAPANESE = """夜のあいだに川の水かさが増し、朝には低い牧草地がすっかり水の下になっていた。
村の人たちは小さな舟をこいで、向こう岸に住む親戚のようすを見に行った。
図書館は毎朝九時に開き、だれでも本や新聞や雑誌を借りることができる。
古い自転車を直した彼は、運河に沿って遠くまで走り、日が沈むころにようやく家へ帰った。
市場では朝早くから野菜が並べられ、客が来るのを待つ人々の声がにぎやかに聞こえる。
先生は生徒たちに春についての作文を書かせたが、ある子どもは祖父のことを書いた。"""
THAI = """แม่น้ำสูงขึ้นในเวลากลางคืน และตอนเช้าทุ่งหญ้าที่อยู่ต่ำก็จมอยู่ใต้น้ำทั้งหมด
ชาวบ้านพายเรือลำเล็กไปเยี่ยมญาติที่อาศัยอยู่อีกฝั่งหนึ่งของแม่น้ำ
ห้องสมุดเปิดทุกวันตั้งแต่เก้าโมงเช้า ผู้อ่านสามารถยืมหนังสือ หนังสือพิมพ์ และนิตยสารได้
หลังจากซ่อมจักรยานคันเก่าเสร็จแล้ว เขาก็ขี่ไปตามคลองจนถึงเวลาพระอาทิตย์ตกจึงค่อยกลับบ้าน
ที่ตลาดมีคนนำผักสดมาวางขายตั้งแต่เช้ามืด และรอให้ลูกค้ามาเลือกซื้อ
ครูให้นักเรียนเขียนเรียงความเกี่ยวกับฤดูฝน แต่เด็กคนหนึ่งกลับเขียนเรื่องปู่ของเขา"""
PROSE = {"zh": GOOD, "ja": JAPANESE, "th": THAI}


@pytest.mark.parametrize("language", PROSE)
def test_word_rules_make_sense_without_spaces(language: str) -> None:
    plan = api.load_recipe("web_multilingual").curate
    batch = DocumentBatch.of([PROSE[language]])
    for general in plan.filters:
        step = in_language(general, language, plan.by_language)
        broken = [rule for rule, found in step.failures(step.measure(batch)).items() if found[0]]
        assert not broken, step.name()
    by_spaces = GopherQuality(min_stop_words=None)
    assert by_spaces.failures(by_spaces.measure(batch))["min_words"].tolist() == [True]


def curated(name: str, texts: list[str], folder: Path) -> tuple[dict, list[str]]:
    (folder / "in").mkdir()
    (folder / "in" / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    with Workplace.open(folder / "out", 1) as place:
        data.curate_into(place, api.load_recipe(name), [str(folder / "in")])
    found = workplace.curated_at(folder / "out")
    return found.ledger, found.kept.table(["text"]).column("text").to_pylist()


def test_chinese_text_is_kept_masked_and_deduplicated(tmp_path: Path) -> None:
    contact = GOOD + "\n请写信到 wang.li@post-office.cn 联系我们，谢谢大家的支持。"
    almost = GOOD.replace("公共电脑", "公用电脑")
    texts = [contact, GOOD, almost, GOOD.replace("书", "書"), JAPANESE, sample_texts()[0]["text"], GOOD[:150]]
    ledger, kept = curated("web_zh", texts, tmp_path)
    assert len(kept) == 1
    assert "wang.li@" not in kept[0]
    assert "<EMAIL>" in kept[0]
    dropped = ledger["dropped"]
    assert dropped["minhash.duplicate"] == 2, "near duplicates are found in text without spaces"
    assert dropped["language.languages"] == 2
    assert dropped["chinese_web_text.max_traditional_chars"] == dropped["chinese_web_text.min_chars"] == 1


def test_recipes_read_as_they_are_written() -> None:
    for name in ("web_en", "web_zh", "web_multilingual"):
        shipped = api.load_recipe(name)
        assert shipped.name == name
        assert recipe.from_json(recipe.to_json(shipped)) == shipped
        assert shipped.curate.warnings() == []
        assert shipped.curate.identifier is not None


def test_web_en_keeps_what_fineweb_keeps_and_masks_it(tmp_path: Path) -> None:
    texts = [row["text"] for row in sample_texts()[:6]]
    texts = [text + "\nWrite to jane.doe@library.net about this page, please, and to nobody else." for text in texts]
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
    _, masked = curated("web_en", texts, ours)
    _, plain = curated("fineweb_en", texts, theirs)
    assert plain
    assert all("jane.doe@" in text for text in plain)
    assert masked == [text.replace("jane.doe@library.net", "<EMAIL>") for text in plain]
