"""One module per outside system; they do not know each other."""
