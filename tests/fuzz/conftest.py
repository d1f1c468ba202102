"""Whatever comes from outside is refused in words, or read; nothing else happens."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # For what the tests here share.
