"""Sphinx configuration. The documentation needs nothing from the network, to be built or to be read."""

import importlib.metadata
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from generate import write_kernel, write_notebooks, write_pages  # noqa: E402 - it lies beside this file

write_pages(HERE / "_build" / "generated")
write_notebooks(HERE / "notebooks", HERE / "_build" / "generated" / "notebooks")
write_kernel(HERE / "_build" / "jupyter")
os.environ["JUPYTER_PATH"] = str(HERE / "_build" / "jupyter")

project = "grokprobe"
author = "The grokprobe developers"
copyright = "The grokprobe developers"  # noqa: A001 - Sphinx asks for this name
release = importlib.metadata.version("grokprobe")
version = release

extensions = ["myst_nb"]  # myst_parser is part of it
exclude_patterns = ["_build"]
nitpicky = True

myst_heading_anchors = 3

# A cell that fails or warns fails the build; each notebook starts in an empty directory.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 300
nb_output_stderr = "warn"
nb_merge_streams = True

html_theme = "pydata_sphinx_theme"
html_title = "grokprobe"
html_show_sourcelink = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}


def setup(app: Any) -> None:
    """Makes every build run every notebook, also where its page has not changed: the library may have."""
    app.connect("env-get-outdated", lambda _, env, *__: list_notebooks(env.found_docs))


def list_notebooks(pages: Iterable[str]) -> list[str]:
    """Returns the pages that are notebooks."""
    return sorted(page for page in pages if page.startswith("notebooks/"))
