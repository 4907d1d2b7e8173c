"""How a tool is used: in a folder, by processes of its own."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiment import LR, ProbeError, Record, epoch_of, weights_of
from processes import find, git


class Tool:
    """How one tool is used. Methods of a subclass import the tool themselves, never the module.

    `write`, `read` and whatever is `asked` run in processes of their own, in the folder `root`.
    """

    name = ""
    module = ""
    saves_at_the_end = False
    """Whether nothing is recorded before the end, by design."""
    pause = 0.05
    """Seconds an epoch takes when runs are killed; more for a tool that writes at intervals."""

    def prepare(self, root: Path) -> None:
        """Make the root ready, as the tool's documentation says. A git repository by default."""
        (root / ".gitignore").write_text("*\n")
        git(root, "init", "--quiet")
        git(root, "add", "--force", ".gitignore")
        git(root, "commit", "--quiet", "--message", "start")

    def write(self, root: Path, name: str, lr: float, epochs: Iterator[int]) -> None:
        raise NotImplementedError

    def read(self, root: Path) -> list[Record]:
        raise NotImplementedError

    def check(self, root: Path) -> str | None:
        """What the tool says of damage, by the command or call it has for that; None if nothing.

        By default the record is read: an error is a complaint.
        """
        try:
            self.ask("read", root)
        except ProbeError as error:
            return str(error)
        return None

    def flip_places(self, root: Path, kind: str) -> list[tuple[Path, int]]:
        """Where bytes of a recorded config value, metric or weight lie: (file, offset)."""
        metric = epoch_of(LR, 13)["train_loss"]
        number = {"config": LR, "metric": metric}.get(kind)
        needles = [weights_of(LR)[2000:2016]]
        if number is not None:
            needles = [repr(number).encode()[2:], struct.pack(">d", number)[2:]]
            needles.append(struct.pack("<d", number)[:6])
        return [place for needle in needles for place in find(root, needle)]

    # Processes of their own

    def start(self, root: Path, name: str, lr: float = LR, pause: float = 0.0) -> subprocess.Popen:
        """Begin to write the experiment. It waits for a line on its standard input."""
        return subprocess.Popen(
            [*self._me(), "write", str(root), name, repr(lr), str(pause)],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=open(root.parent / f"{root.name}.err", "ab"),
            text=True,
            start_new_session=True,
        )

    def save(self, root: Path, name: str, lr: float = LR) -> None:
        """Write the experiment, undisturbed."""
        process = self.start(root, name, lr)
        process.communicate("go\n", timeout=300)
        if process.returncode:
            log = (root.parent / f"{root.name}.err").read_text().strip().splitlines()
            raise ProbeError(f"writing failed: {log[-1] if log else process.returncode}")

    def ask(self, method: str, root: Path, *words: str) -> Any:
        """Call a method of the tracker in a new process. Raises ProbeError if it fails."""
        done = subprocess.run(
            [*self._me(), "ask", str(root), method, *words],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=600,
        )
        answer = done.stdout.rpartition("ANSWER ")[2]
        if done.returncode or not answer:
            lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
            raise ProbeError(lines[-1][:160] if lines else f"exit code {done.returncode}")
        return json.loads(answer)

    def records(self, root: Path) -> list[Record]:
        return [Record(**each) for each in self.ask("read", root)]

    def tool(self, *words: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess:
        """Run a command of the environment."""
        program = Path(sys.executable).parent / words[0]
        done = subprocess.run(
            [str(program), *words[1:]], cwd=cwd, capture_output=True, text=True, timeout=600
        )
        if check and done.returncode:
            raise ProbeError((done.stderr or done.stdout).strip()[-300:])
        return done

    def commands_with(self, words: str, *helps: tuple[str, ...], cwd: Path) -> list[str]:
        """Lines of the tool's own help that begin with a command among `words`."""
        wanted = words.split()
        lines = [
            line.strip() for each in helps for line in self.tool(*each, cwd=cwd).stdout.splitlines()
        ]
        return [line for line in lines if line and line.split()[0] in wanted]

    def _me(self) -> list[str]:
        return [
            sys.executable,
            str(Path(sys.modules[type(self).__module__].__file__ or "").resolve()),
        ]

    def fresh(self, work: Path) -> Path:
        """A new root."""
        self._roots = getattr(self, "_roots", 0) + 1
        root = work / f"root{self._roots}"
        root.mkdir(parents=True)
        self.prepare(root)
        return root
