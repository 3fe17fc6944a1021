"""Room 3. Documents come in, Weights go out: how often each document is read, `copies >= 0`.

In          Documents and Tokens of the pool, a target where a method needs one
Out         Signals (scores), Weights (copies, tokens), the cost of choosing
Invariants  higher means keep; the budget is in tokens and holds to one document; chance comes from (seed, id) alone
Add one     one file in scorers/ or selectors/, one fidelity test in tests/select/
"""
