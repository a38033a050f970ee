"""A law that is kept, or is not."""


class ConformanceError(AssertionError):
    """An implementation breaks a law of its Protocol; the message is ``law: what was found``."""


def require(kept: bool, law: str, found: str = "") -> None:
    """Raises unless a law is kept.

    Args:
        kept: whether it is.
        law: the law in a few words, as the Protocol's docstring has it.
        found: what was found instead.

    Raises:
        ConformanceError: it is not kept.
    """
    if not kept:
        raise ConformanceError(f"{law}: {found}" if found else law)
