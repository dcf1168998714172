"""How Sphinx makes the site of these pages: `make docs` writes docs/_build/html."""

from __future__ import annotations

from importlib.metadata import version as version_of

from pygments.lexers.special import TextLexer
from sphinx.highlighting import lexers

project = "pangea-compute"
author = "the pangea-compute authors"
version = release = version_of("pangea-compute")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = f"pangea-compute {version}"
html_theme_options = {"source_directory": "docs/"}
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
napoleon_use_rtype = False
lexers["mermaid"] = TextLexer()  # diagrams stay text: drawing them would take a script from elsewhere
