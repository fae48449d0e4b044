"""For the tests of this room: the modules that they share are imported by name, though tests are no package."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path += [str(HERE), str(HERE.parent)]
