"""The commands of docs/operations.md, by the name of their block."""

from __future__ import annotations

import re

from devtool import paths

OPERATIONS = paths.ROOT / "docs" / "operations.md"


def commands(block: str) -> str:
    found = re.search(rf"^```bash {block}\n(.*?)^```$", OPERATIONS.read_text(), re.M | re.S)
    assert found, f"docs/operations.md has no block of commands named {block}"
    return found[1]
