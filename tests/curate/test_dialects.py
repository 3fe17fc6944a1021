from seedbed.core.nouns import DocumentBatch
from seedbed.curate.dialects import DISAGREEMENTS, compare
from seedbed.curate.filters.gopher_quality import GopherQuality
from seedbed.curate.filters.gopher_repetition import GopherRepetition

PROSE = "The river rose in the night and by the morning the lower meadows of the valley have been under water. " * 4
DIALOGUE = '"No," he said then. "Nothing belongs to me, nothing of that." ' * 10
SHORT = "Too short."
BLANK_LINES = "\n\n".join(f"Paragraph {chr(97 + k)} {k} x{k * 7} y{k * 5} z{k * 3}" for k in range(9))


def test_documents_that_one_dialect_keeps_are_told_with_both_numbers():
    batches = [DocumentBatch.of([PROSE, SHORT]), DocumentBatch.of([DIALOGUE], language=["en"])]
    found = compare(GopherQuality(), GopherQuality(dialect="datatrove"), batches)
    assert (found.documents, found.kept_by_both, found.kept_by_none) == (3, 1, 1)
    assert (found.kept_by_first, found.kept_by_second) == (1, 0)
    assert found.agreement == 2 / 3
    assert found.disagreements.schema.equals(DISAGREEMENTS)
    told = {row["rule"]: row for row in found.disagreements.to_pylist()}
    assert set(told) == {"min_alphabetic_words"}
    row = told["min_alphabetic_words"]
    assert (row["row"], row["id"], row["language"], row["kept_by"]) == (2, batches[1].ids[0], "en", "first")
    assert row["first"] == 1
    assert row["second"] < row["second_threshold"] == row["first_threshold"] == 0.8


def test_a_rule_that_one_side_does_not_measure_has_no_number():
    batches = [DocumentBatch.of([BLANK_LINES])]
    first = GopherRepetition(dialect="dolma_v1", max_top_4gram_chars=None)
    second = GopherRepetition(dialect="dolma_v2", max_top_4gram_chars=None)
    found = compare(first, second, batches)
    assert (found.kept_by_first, found.kept_by_second) == (0, 1)
    assert found.disagreements["rule"].to_pylist() == ["max_duplicate_lines"]
    assert found.disagreements["kept_by"].to_pylist() == ["second"]

    others = [rule.name for rule in GopherRepetition.rules if rule.name != "max_duplicate_paragraphs"]
    off = dict.fromkeys(others)
    twice = [DocumentBatch.of([f"{PROSE}\n\n{PROSE}"])]
    found = compare(GopherRepetition(dialect="dolma_v1", **off), GopherRepetition(**off), twice)
    told = [(row["rule"], row["first"], row["second"], row["kept_by"]) for row in found.disagreements.to_pylist()]
    assert told == [("max_duplicate_paragraphs", None, 1, "first")]


def test_nothing_compared_agrees():
    found = compare(GopherQuality(), GopherQuality(), [])
    assert (found.documents, found.agreement, found.disagreements.num_rows) == (0, 1, 0)
    whole = compare(GopherQuality(), GopherQuality(), [DocumentBatch.of([PROSE, SHORT])])
    assert (whole.agreement, whole.disagreements.num_rows) == (1, 0)
