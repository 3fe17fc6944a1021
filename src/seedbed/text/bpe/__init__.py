"""Byte-level byte-pair encoding: text cut into pieces, a piece merged pair by pair, and a memory of pieces seen."""
