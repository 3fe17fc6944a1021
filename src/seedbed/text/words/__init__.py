"""Words of a text, by several definitions, and lists of words and phrases to be found in it."""
