"""The version, where everybody can import it."""

from typing import Final

__version__: Final = "0.1.0"
