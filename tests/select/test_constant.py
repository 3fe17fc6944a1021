from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Given
from seedbed.select.scorers.constant import Constant


def test_every_document_scores_zero():
    fitted = Constant().fit(Given())
    assert arrow.numpy(fitted.measure(DocumentBatch.of(["a", "", "🌱"])), "score").tolist() == [0, 0, 0]
    assert fitted.measure(DocumentBatch.of([])).num_rows == 0
