"""Room 2. Documents come in, Tokens go out; every token leads back to its document.

In          Documents (kept)
Out         a tokenizer.json; Tokens: flat ids a shard, and an index (document id, offset, tokens, bytes)
Invariants  one tokenizer a comparison; documents are tokenised once; decode(encode(text)) == text
Add one     one file in tokenizers/, one fidelity test in tests/tokenize/
"""
