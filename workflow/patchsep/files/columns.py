"""Tables for a person to read."""


def in_columns(rows: list[list[str]], n_left: int) -> list[str]:
    """Lines of a table, with two blanks between columns whatever is in them.

    Parameters
    ----------
    rows : list of lists of str
    n_left : int
        How many of the first columns begin at their left edge; the others end at their right one.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if place < n_left else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
