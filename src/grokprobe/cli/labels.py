"""Lists of labels on the command line."""


def split_labels(text: str | None) -> list[str] | None:
    """Returns the labels of ``A,B``; None where nothing was given."""
    return None if text is None else [label.strip() for label in text.split(",") if label.strip()]
