"""spaCy's blank English tokenizer and sentencizer as kernels: the words and sentences that datatrove counts."""
