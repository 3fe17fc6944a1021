"""Room 1. Raw records come in, Documents go out, every one of them accounted for.

In          files of .warc .html .jsonl .parquet .txt and more (see readers/), folders of them, here or on a store
Out         Documents (kept), Signals on all that was read, Decisions, duplicate groups, ledger, quarantine
Invariants  read = kept + dropped by reason + errored by type, or the run fails;
            the same bytes for any number of workers, any order of inputs, after any crash;
            a threshold is replayed over stored numbers, text is not read again
Add a rule  one file in filters/ (edits/, dedup/, survivors/, readers/, extractors/), one fidelity test in tests/curate/

Beside the shelves and run.py, by what one comes here for:
asked       contract, whole_file, language_filter (of methods); plan, by_language (of a curation)
read        sources, reading, watch; of an earlier or a shortened corpus: earlier, forgotten, strike
worked on   tasks (one shard), passages (the whole corpus)
decided     decide, replay (what-if); accounted for: account, ledger; given out: publish
looked at   samples, dialects, drops_by_language, dedup_quality
"""
