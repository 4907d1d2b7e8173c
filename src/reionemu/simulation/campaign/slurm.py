"""The script of a Slurm job array that shares out the rows of a design."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence

from ...config import require_int
from ...errors import ConfigError

_TIME = re.compile(r"\d+(:\d{1,2}){0,2}|\d+-\d{1,2}(:\d{1,2}){0,2}")


def array_script(
    command: Sequence[str],
    rows: int,
    *,
    jobs: int,
    cores: int,
    memory: int,
    time: str,
) -> str:
    """A script for `sbatch`.

    Jobs that fail or run out of time do no harm: submitting the script again makes what is missing.

    Parameters
    ----------
    command : sequence of str
        The command that makes rows of a design, but for `--workers` and `--rows`.
    rows : int
        Rows of the design.
    jobs : int
        Jobs in the array, at most; each gets as many rows as the others, but for the last.
    cores : int
        Cores, and so processes, of a job.
    memory : int
        Bytes that a job may take.
    time : str
        Limit of a job, as Slurm has it: minutes, or [days-]hours:minutes:seconds.

    Raises
    ------
    ConfigError
        For numbers below 1, or a time that is none.
    """
    for name, value in (("rows", rows), ("jobs", jobs), ("cores", cores), ("memory", memory)):
        require_int("slurm", name, value, minimum=1)
    if not _TIME.fullmatch(time):
        raise ConfigError(f"slurm.time must be like 90, 12:00:00 or 2-00:00:00, got {time!r}")
    each = math.ceil(rows / jobs)
    last = math.ceil(rows / each) - 1
    return f"""#!/bin/bash
#SBATCH --job-name=reionemu
#SBATCH --array=0-{last}
#SBATCH --cpus-per-task={cores}
#SBATCH --mem={math.ceil(memory / 2**20)}M
#SBATCH --time={time}
#SBATCH --output=reionemu-%A_%a.log

set -euo pipefail
first=$((SLURM_ARRAY_TASK_ID * {each}))
exec {shlex.join(command)} --workers {cores} --rows "$first:$((first + {each}))"
"""
