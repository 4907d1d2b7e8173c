"""A worker process: settings in the first line of standard input, then one task a line.

It answers on standard output, a JSON object a line: {"ready": true} once; for each task any number
of {"progress": [what, done, total]}, then {"answer": ...}. It ends when its input does.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import Any

from .plan import Task
from .work import Settings, Worker


def main() -> None:
    """Do the tasks of standard input."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer

    def say(**message: Any) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    worker = Worker(Settings(**json.loads(sys.stdin.readline())))
    try:
        say(ready=True)
        for line in sys.stdin:
            answer = worker.do(Task(**json.loads(line)), lambda *step: say(progress=step))
            say(answer=dataclasses.asdict(answer))
    except BrokenPipeError:  # nobody listens any more: who gave the orders is dead
        os._exit(1)


if __name__ == "__main__":
    main()
