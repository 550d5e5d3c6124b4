"""Configuration of the documentation: `make docs` builds it without a network, `DOCS_ONLINE=1` adds links to others."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import generate  # noqa: E402
from mirbench import __version__  # noqa: E402

generate.write(HERE / "reference" / "generated")

project = "mirbench"
author = "The mirbench authors"
copyright = author
version = release = __version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_click",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "reference/generated/validity.md"]  # the latter is included in explanation/validity
smartquotes = False  # options begin with two hyphens
default_role = "code"  # names between single backticks in docstrings

autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_title = "mirbench"
html_show_sourcelink = False
html_theme_options = {
    "github_url": "https://github.com/mirbench/mirbench",
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
}

if os.environ.get("DOCS_ONLINE") == "1":
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "torch": ("https://pytorch.org/docs/stable", None),
        "click": ("https://click.palletsprojects.com/en/stable", None),
    }
