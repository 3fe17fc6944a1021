import re

from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.text.rules import segments
from tests.conftest import examples

PIECES = [
    "a",
    "bb ",
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    "\x85",
    "\u2028",
    "\u2029",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x1d",
    "\x1e",
    "\x1f",
]
PIECES += [" ", "…", "é", "語", "x" * 63, "x" * 64, "\u3000"]
TEXTS = st.lists(st.lists(st.sampled_from(PIECES), max_size=50).map("".join), min_size=1, max_size=4)
CUTS = {
    segments.newline_lines: lambda text: text.split("\n"),
    segments.newline_run_lines: lambda text: re.split("\n+", text),
    segments.newline_run_paragraphs: lambda text: re.split("\n{2,}", text.strip()),
    segments.filled_lines: lambda text: [line for line in text.split("\n") if line.strip()],
    segments.python_lines: lambda text: [line.strip() for line in text.splitlines()],
}


@examples(150)
@given(TEXTS)
def test_segments_are_those_that_python_cuts(texts):
    documents = DocumentBatch.of(texts)
    data = documents.text_buffers()[0].tobytes()
    for function, cut in CUTS.items():
        found = documents.derive(function)
        cuts = [data[a:b].decode() for a, b in zip(found.start.tolist(), found.end.tolist(), strict=True)]
        pieces = [cuts[a:b] for a, b in zip(found.first[:-1].tolist(), found.first[1:].tolist(), strict=True)]
        assert pieces == [cut(text) for text in texts], function.__name__
        if isinstance(found, segments.Segments):
            assert found.chars.tolist() == [len(piece) for document in pieces for piece in document]
            hashes = dict(zip(cuts, found.hash.tolist(), strict=True))
            assert len(set(hashes.values())) == len(hashes)
    assert documents.derive(segments.characters).tolist() == [len(text) for text in texts]


def test_a_long_run_of_newlines_is_cut_once():
    found = segments.newline_run_lines(DocumentBatch.of(["a" + "\n" * 300_000 + "b"]))
    assert found.per_document.tolist() == [2]
