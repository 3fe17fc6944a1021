import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.errors import RecipeError
from seedbed.core.nouns import SPANS, DocumentBatch
from seedbed.curate.edits.mask_personal_data import MaskPersonalData
from tests.conftest import examples

PIECES = ["anna@firma.de", "+49 30 1234567", "(415) 867-5309", "91.12.4.250", "2a00:1450:4001:81b::200e", "Tel. "]
PIECES += [
    "DE89370400440532013000",
    "4242 4242 4242 4242",
    "DE",
    "89",
    "@",
    ".",
    ":",
    "+",
    "-",
    " ",
    "\n",
    "é",
    "语",
    "1",
    "x",
]
PIECES += ["<", ">", "::", "/", "//", "415", "867", "5309", "firma.de", "'", "12", "(0)"]
TEXTS = st.lists(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), min_size=1, max_size=5)


def edit(*texts, **parameters):
    edited = MaskPersonalData(**parameters).edit(DocumentBatch.of(list(texts)))
    edited.texts.validate(full=True)
    assert edited.told().schema.equals(SPANS)
    return edited.texts.to_pylist(), edited.told().to_pylist()


def test_masked_text_and_spans():
    text = "Ecrivez à zoë@cafe.fr ou +33 1 23 45 67 89 (91.12.4.250)."
    texts, spans = edit("none", text, "")
    assert texts == ["none", "Ecrivez à <EMAIL> ou <PHONE> (<IP_ADDRESS>).", ""]
    assert [span["kind"] for span in spans] == ["email", "phone", "ipv4"]
    assert [text.encode()[span["start"] : span["end"]].decode() for span in spans] == [
        "zoë@cafe.fr",
        "+33 1 23 45 67 89",
        "91.12.4.250",
    ]
    assert {span["row"] for span in spans} == {1}
    assert set(spans[0]) == {"row", "start", "end", "kind"}, "never what was masked"


def test_kinds_are_chosen_and_worded():
    text = "zoe@cafe.fr DE89370400440532013000"
    assert edit(text, email=None)[0] == ["zoe@cafe.fr <IBAN>"]
    assert edit(text, iban=None, email="")[0] == [" DE89370400440532013000"]
    assert edit(text, email="firstname.lastname@example.org")[0] == ["firstname.lastname@example.org <IBAN>"]
    with pytest.raises(RecipeError, match=r"mask_personal_data\.ipv4.*personal data itself"):
        MaskPersonalData(ipv4="22.214.171.124")


def test_a_replacement_that_is_personal_data_where_it_stands_is_written_once():
    text = "Tel. 089 123456 and +49 30 1234567"
    once, spans = edit(text, phone="030 7654321")
    assert once == ["Tel. 030 7654321 and 030 7654321"]
    assert len(spans) == 2
    assert edit(*once, phone="030 7654321")[0] == once


def test_what_becomes_personal_data_by_a_replacement_goes_too():
    assert edit("a@b.de+49 30 1234567")[0] == ["<EMAIL><PHONE>"]
    joined, spans = edit("from 2a00:1450:a@b.de:4001:81b", email="")  # an IPv6 address around an e-mail address
    assert joined == ["from <IP_ADDRESS>"]
    assert [(span["start"], span["end"], span["kind"]) for span in spans] == [(5, 30, "ipv6")]


@examples(150)
@given(
    TEXTS, st.sampled_from([{}, {"email": ""}, {"phone": "", "ipv4": ""}, {"card": "0", "iban": "x"}, {"email": None}])
)
def test_masking_twice_is_masking_once(texts, parameters):
    masked, spans = edit(*texts, **parameters)
    again, more = edit(*masked, **parameters)
    assert again == masked
    assert more == []
    method = MaskPersonalData(**parameters)
    for row, text in enumerate(texts):  # the spans tell all that changed
        at, pieces = 0, []
        for span in (span for span in spans if span["row"] == row):
            assert at <= span["start"] < span["end"]
            pieces += [text.encode()[at : span["start"]].decode(), getattr(method, span["kind"])]
            at = span["end"]
        assert "".join(pieces) + text.encode()[at:].decode() == masked[row]
