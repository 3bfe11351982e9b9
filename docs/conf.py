"""How Sphinx makes the site and the man pages."""

from homodyne_cli.version import VERSION

project = "homodyne"
author = "the homodyne developers"
copyright = author
version = release = VERSION

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

autodoc_typehints = "description"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"homodyne {VERSION}"
html_show_sphinx = False
html_show_copyright = False

man_pages = [
    ("cli", "homodyne", "fit XPCS two-time correlation maps", [author], 1),
    ("config", "homodyne-config", "keys of the config of homodyne", [author], 5),
    ("run_directory", "homodyne-run", "the run directory of homodyne", [author], 5),
    ("codes", "homodyne-codes", "codes of errors, warnings and findings", [author], 7),
]
