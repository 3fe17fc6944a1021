"""The report: plain numbers come in, one HTML file goes out. Reads no artifact; the pipeline fills `ReportData`.

In          ReportData: frozen dataclasses of numbers and texts, any section of which may be absent
Out         one self-contained page: no script, no outside resource, plots as inline SVG
Invariants  the same data give the same bytes; every text is escaped, and no text of a document becomes markup
"""
