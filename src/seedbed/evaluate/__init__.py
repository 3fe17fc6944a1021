"""Room 6. Models and held-out text come in, Outcomes go out.

In          a Model, held-out documents by domain; the pool, for audits
Out         Outcomes: a row an item; findings of audits; summaries with intervals
Invariants  bits per byte is a ratio of sums, comparable across tokenizers; every byte is scored once;
            compared arms share tokens, seeds and start
Add one     one file in tasks/ or audits/, one fidelity test in tests/evaluate/
"""
