"""Sphinx configuration. The documentation needs nothing from the network, to be built or to be read."""

import importlib.metadata
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from generate import write_pages  # noqa: E402 - it lies beside this file

write_pages(HERE / "_build" / "generated")

project = "grokprobe"
author = "The grokprobe developers"
copyright = "The grokprobe developers"  # noqa: A001 - Sphinx asks for this name
release = importlib.metadata.version("grokprobe")
version = release

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True

myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_title = "grokprobe"
html_show_sourcelink = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
