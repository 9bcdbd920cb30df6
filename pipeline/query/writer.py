"""Python source, line by line."""


class Writer:
    """Indented lines."""

    def __init__(self, depth: int = 0) -> None:
        self.lines: list[str] = []
        self.depth = depth

    def line(self, text: str) -> None:
        """A line at the present depth."""
        self.lines.append("    " * self.depth + text)

    def block(self, text: str) -> None:
        """A line whose followers stand one deeper; lower `depth` to end it."""
        self.line(text)
        self.depth += 1
