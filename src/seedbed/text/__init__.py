"""Words, lines, n-grams, hashing, normalising: compiled kernels over Arrow text buffers, pure functions.

Text is (bytes, offsets): document i is bytes[offsets[i]:offsets[i+1]], UTF-8. No Python object a word.
"""
