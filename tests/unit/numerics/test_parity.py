import torch

from grokprobe.numerics.parity import COMPONENTS, split_by_parity


def f(x):
    """Odd part sin x, even part 2 x² + 3."""
    return torch.sin(x) + 2 * x**2 + 3


X = torch.linspace(-2, 2, 9, dtype=torch.float64)


def test_halves_are_the_odd_and_the_even_part():
    parts = split_by_parity(f(X), f(-X))
    assert tuple(parts) == COMPONENTS["half"]
    torch.testing.assert_close(parts["odd"], torch.sin(X))
    torch.testing.assert_close(parts["even"], 2 * X**2 + 3)
    torch.testing.assert_close(parts["full"], f(X))


def test_authors_form_has_twice_the_even_part():
    parts = split_by_parity(f(X), f(-X), "authors")
    assert tuple(parts) == COMPONENTS["authors"]
    torch.testing.assert_close(parts["non_linear"], 4 * X**2 + 6)
    torch.testing.assert_close(parts["linear"], torch.sin(X) - 2 * X**2 - 3)
    torch.testing.assert_close(parts["linear"] + parts["non_linear"], f(X))


def test_float32_is_split_in_float64():
    assert all(part.dtype == torch.float64 for part in split_by_parity(f(X).float(), f(-X).float()).values())
