"""HTML pages, and the figures and pictures in them."""

from __future__ import annotations

import os

from systolith.golden.files.home import home_folder

if home_folder() is None:
    # Altair asks for a home folder as it is imported, although nothing is stored there.
    os.environ["HOME"] = os.sep
    import altair as altair

    del os.environ["HOME"]
