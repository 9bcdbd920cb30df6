"""Exact quantities: ints at a fixed scale inside, decimal strings outside. No float anywhere."""

from decimal import Decimal


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


def scaled(text: str, scale: int) -> int:
    """The inverse of `decimal_text`. Raises ValueError on digits beyond the scale."""
    moved = Decimal(text).scaleb(scale)
    if moved != moved.to_integral_value():
        raise ValueError(f"more than {scale} decimals")
    return int(moved)
