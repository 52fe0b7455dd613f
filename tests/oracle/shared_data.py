"""Public data sets that are not part of the project: used where they are there.

They lie in ../shared/data beside the project, or where MILLRACE_SHARED_DATA says.
"""

from __future__ import annotations

import os
from pathlib import Path

from devtool import paths

FOLDER = Path(os.environ.get("MILLRACE_SHARED_DATA", paths.ROOT.parent / "shared" / "data"))


def present(*names: str) -> list[Path]:
    """Those of the files that exist: tests are made for these."""
    return [FOLDER / name for name in names if (FOLDER / name).is_file()]
