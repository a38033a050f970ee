"""Where what can be made again is kept between processes."""

import os
from pathlib import Path
from typing import Final

#: Environment variable that names the directory.
DIRECTORY_VARIABLE: Final = "GROKPROBE_CACHE"


def cache_directory() -> Path:
    """Returns ``$GROKPROBE_CACHE``, else ``$XDG_CACHE_HOME/grokprobe``, else ``~/.cache/grokprobe``."""
    own, shared = os.environ.get(DIRECTORY_VARIABLE), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).expanduser()
    return (Path(shared) if shared else Path.home() / ".cache") / "grokprobe"
