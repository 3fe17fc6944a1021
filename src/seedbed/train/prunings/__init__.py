"""A shelf: one published method a file, file name = method name."""
