"""Transformer parts, parameter and FLOP counts, the checkpoint format, and the model as others ask it questions."""
