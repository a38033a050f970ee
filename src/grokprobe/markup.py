"""A title, lines and a table as HTML: what a notebook shows of the objects that the library returns."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Final

#: Rows of a table; the others are counted below it.
MAX_ROWS: Final = 40
#: Colours come from the page, so that it reads on light and dark ones.
_CELL: Final = "text-align:left;padding:0.1em 0.8em 0.1em 0;border-bottom:1px solid rgba(128,128,128,0.35)"


def shorten_path(path: Path) -> Path:
    """Returns a path as seen from the working directory, if it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def render_block(
    title: str,
    *,
    header: Sequence[str] = (),
    rows: Sequence[Sequence[object]] = (),
    lines: Sequence[str] = (),
) -> str:
    """Returns HTML with everything escaped.

    Args:
        title: one line in bold.
        header: names of the columns.
        rows: cells of the table; without any there is no table. Of more than 40 the others are counted.
        lines: further lines, below the table; of more than 40 the others are counted.

    Example:
        >>> block = render_block("a < b", header=["x"], rows=[["<script>"]])
        >>> assert "a &lt; b" in block and "<script>" not in block
    """
    parts = [f"<strong>{html.escape(title)}</strong>"]
    if rows:
        head = "".join(f'<th scope="col" style="{_CELL}">{html.escape(name)}</th>' for name in header)
        body = "".join(f"<tr>{''.join(map(_render_cell, row))}</tr>" for row in rows[:MAX_ROWS])
        parts.append(
            f'<table style="border-collapse:collapse"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        )
    if len(rows) > MAX_ROWS:
        parts.append(f"<div>and {len(rows) - MAX_ROWS} more</div>")
    parts += [f"<div>{html.escape(line)}</div>" for line in lines[:MAX_ROWS]]
    if len(lines) > MAX_ROWS:
        parts.append(f"<div>and {len(lines) - MAX_ROWS} more</div>")
    return f"<div>{''.join(parts)}</div>"


def _render_cell(value: object) -> str:
    return f'<td style="{_CELL}">{html.escape(str(value))}</td>'
