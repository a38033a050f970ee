"""How results are opened in Python."""

from pathlib import Path

from grokprobe.store import find_url


def opening_code(results: str | Path) -> str:
    """Returns the code that opens a results store: xarray alone opens a directory."""
    url = find_url(results)
    if url is not None:
        return f'import grokprobe; tree = grokprobe.open_results("{url}")'
    return f'import xarray; tree = xarray.open_datatree("{results}", engine="zarr")'
