"""Pieces of the messages that tell what is wrong with a setting, and how to mend it."""

from difflib import get_close_matches


def suggest(name, known) -> str:
    """The known name that was meant, or all there are."""
    by_lower = {str(item).lower(): str(item) for item in known}
    close = get_close_matches(str(name).lower(), by_lower, n=1)
    return f"did you mean {by_lower[close[0]]}?" if close else f"known are {', '.join(known)}"


def as_list(values):
    return values if isinstance(values, list) else [values]


def all_of(names) -> str:
    """Names in a sentence: "hi, mid and low"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
