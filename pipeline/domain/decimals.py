"""Exact quantities: ints at a fixed scale inside, decimal strings outside. No float anywhere."""


def decimal_text(n: int, scale: int, trim: bool = False) -> str:
    """A scaled int as a decimal string: `decimal_text(24100, 4)` is `2.4100`; with `trim`, `2.41`."""
    if not scale:
        return str(n)
    text = str(n)
    if n > 0 and not trim and len(text) > scale:  # nearly all of them
        return f"{text[:-scale]}.{text[-scale:]}"
    digits = str(abs(n)).rjust(scale + 1, "0")
    whole, part = digits[:-scale], digits[-scale:]
    if trim:
        part = part.rstrip("0")
    text = f"{whole}.{part}" if part else whole
    return f"-{text}" if n < 0 else text
