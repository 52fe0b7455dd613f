"""Entry point: `python3 tools/devtool COMMAND`."""

import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("tools/dev needs Python 3.11 or newer (Debian 12's python3)")

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from devtool.cli import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
