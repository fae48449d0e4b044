"""The process that is killed: serves the bots of a file, with a player in place of the model.

python bot_child.py FILE
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from chats.players import Player

from gemmagraph import Gemma
from gemmagraph.bots.logs import begin_log
from gemmagraph.bots.serving import Serving, serve


def main(file: str) -> int:
    begin_log("text")
    serving = Serving(file, model=Gemma(Player(piece=10, pause=0.01)), lease=1.0)
    ended = asyncio.run(serve(serving, grace=2.0))
    return 0 if ended else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
