"""Tables for a person to read."""


def in_columns(rows: list[list[str]], widths: list[int], n_left: int) -> list[str]:
    """Lines of a table for a person to read, with a blank between columns whatever is in them.

    Parameters
    ----------
    rows : list of lists of str
    widths : list of int
        Of the columns, where their longest entry does not need more.
    n_left : int
        How many of the first columns begin at their left edge; the others end at their right one.
    """
    longest = [max(map(len, column)) for column in zip(*rows, strict=True)]
    wide = [max(width, length + 1) for width, length in zip(widths, longest, strict=True)]
    return [
        "".join(
            text.ljust(width) if place < n_left else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, wide, strict=True))
        )
        for row in rows
    ]
