"""Pages and documents in, text out: decoding, the cost of parsing, formulas, wikitext, archives."""
