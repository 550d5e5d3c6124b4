"""Escape foreign text (names in records, plugins and bundles) so that every output format shows it as text."""

import json
import math
import re
import unicodedata
from typing import Any

INVISIBLE = (
    "Cc",
    "Cf",
    "Cs",
    "Co",
    "Cn",
    "Zl",
    "Zp",
)  # categories: control, format, surrogates, unassigned, separators
FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)  # what a cell of a formula begins with
IN_MARKDOWN = {
    **{character: f"\\{character}" for character in "\\|[]`"},
    "<": "&lt;",
    ">": "&gt;",
    "&": "&amp;",
}
IN_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def visible(text: str, keep: str = "") -> str:
    """Return text with invisible characters (terminal control sequences, line breaks, lone surrogates) as escapes.

    Parameters
    ----------
    text
        Text to escape.
    keep
        Characters that are left as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        each if each in keep or unicodedata.category(each) not in INVISIBLE else each.encode("unicode_escape").decode()
        for each in text
    )


def csv_cell(value: Any) -> Any:
    """Return a value for a cell of a CSV file, such that spreadsheets take no text for a formula.

    Parameters
    ----------
    value
        Value of the cell; numbers are returned unchanged.
    """
    if not isinstance(value, str):
        return value
    text = value if value[:1] in FORMULA else visible(value)
    if text[:1] in FORMULA and not _is_number(text):
        return f"'{visible(text)}"
    return text


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) is not None


def markdown_cell(text: str) -> str:
    """Return text for a cell of a Markdown table, free of further cells, links, images and HTML.

    Parameters
    ----------
    text
        Text to escape.
    """
    escaped = "".join(IN_MARKDOWN.get(character, character) for character in visible(text))
    return escaped.replace("://", "&#58;//")  # which would become a link by itself


def latex_text(text: str) -> str:
    """Return text that LaTeX prints literally.

    Parameters
    ----------
    text
        Text to escape.
    """
    return "".join(IN_LATEX.get(character, character) for character in visible(text))


def script_json(values: Any) -> str:
    """Return JSON for a script element of an HTML page; nothing in it can end the script.

    Values that JSON does not have (NaN, infinity) become null.

    Parameters
    ----------
    values
        Numbers, texts, lists and dictionaries.
    """
    text = json.dumps(_finite(values), sort_keys=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def _finite(values: Any) -> Any:
    if isinstance(values, float):
        return values if math.isfinite(values) else None
    if isinstance(values, dict):
        return {name: _finite(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [_finite(value) for value in values]
    return values
