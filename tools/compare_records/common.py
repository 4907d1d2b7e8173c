"""The small experiment that every tracker records, and the probes that are the same for all.

A tracker is a script of its own, run in an environment of its own. It says how to write the
experiment with that tool and how to read it back; the probes here kill it, run it many times at
once, flip bits in what it wrote, and compare. Nothing here imports a tracker.

Linux only (processes are found in /proc). Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

EPOCHS, NAN_EPOCH = 20, 7
LR = 0.0123456789
KILLS, FLIPS = 10, 4
YES, PARTLY, NO, NA, UNKNOWN = "yes", "partly", "no", "n.a.", "not checked"

QUIET = {
    "AIM_ANALYTICS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    **{f"GIT_{who}_NAME": "Nobody" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "nobody@example.org" for who in ("AUTHOR", "COMMITTER")},
}
"""What keeps the tools off the network, and the user's own settings out of the comparison."""


@dataclass(frozen=True)
class Outcome:
    """A cell of the table: yes, partly, no, n.a. or not checked, and what was seen."""

    mark: str
    evidence: str


@dataclass
class Record:
    """What a tracker gives back of one experiment; `weights` is the SHA-256 of the file."""

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    history: dict[str, list[float]] = field(default_factory=dict)
    weights: str | None = None
    status: str | None = None

    @property
    def epochs(self) -> int:
        return len(self.history.get("train_loss", []))


# The experiment ----------------------------------------------------------------------------


def config_of(lr: float) -> dict[str, Any]:
    return {"lr": lr, "hidden_dim": 64, "seed": 7, "model": "mlp"}


def epoch_of(lr: float, epoch: int) -> dict[str, float]:
    train = lr + 1 / epoch
    return {"train_loss": train, "val_loss": math.nan if epoch == NAN_EPOCH else 1.1 * train}


def weights_of(lr: float) -> bytes:
    """A thousand float32 numbers that depend on the learning rate."""
    numbers = random.Random(repr(lr))
    return array("f", (numbers.gauss(0, 1) for _ in range(1000))).tobytes()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def is_right(record: Record, lr: float, epochs: int = EPOCHS) -> bool:
    """Whether a record holds the experiment whole, every number as it was."""
    wanted = [epoch_of(lr, epoch) for epoch in range(1, epochs + 1)]
    same = all(
        len(record.history.get(key, [])) == epochs
        and all(
            a == b or (a != a and b != b)
            for a, b in zip((row[key] for row in wanted), record.history[key], strict=True)
        )
        for key in ("train_loss", "val_loss")
    )
    config = {key: str(value) for key, value in record.config.items()}
    told = all(config.get(key) == str(value) for key, value in config_of(lr).items())
    return same and told and record.weights == sha256(weights_of(lr))


# A tracker, and what can be asked of any -----------------------------------------------------


class Tracker:
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

    # Probes that are the same for all

    def probe_killed(self, work: Path) -> Outcome:
        root = self.fresh(work)
        length = self._length(root)
        unreadable = lost = acknowledged = 0
        for turn in range(KILLS):
            name = f"killed{turn}"
            process = self.start(root, name, pause=self.pause)
            seen = kill_after(process, "begun", length * (turn + 0.5) / KILLS)
            acknowledged += seen
            try:
                found = [r for r in self.records(root) if r.name == name]
            except ProbeError:
                found, root = [], self.fresh(work)
            whole = bool(found) and str(found[0].config.get("lr")) == str(LR)
            unreadable += not whole
            lost += max(0, seen - found[0].epochs) if found else seen
        text = (
            f"{KILLS} kills spread over a run: {KILLS - unreadable} readable records, "
            f"{lost} of {acknowledged} logged epochs lost"
        )
        if unreadable:
            return Outcome(NO, text)
        return Outcome(YES if lost == 0 else PARTLY, text)

    def kills_while_saving(self, work: Path) -> tuple[int, str]:
        """Kill what saves over and over under one name; count how often nothing whole is left."""
        root, broken = self.fresh(work), 0
        for turn in range(KILLS):
            process = self.start(root, "saved", pause=-1)
            kill_after(process, "saving", 0.1 + 0.037 * turn)
            try:
                found = self.records(root)
                broken += not any(is_right(r, lr) for r in found for lr in (LR, 2 * LR))
            except ProbeError:
                broken, root = broken + 1, self.fresh(work)
        return broken, f"{KILLS} kills while saving over and over: no whole record {broken} times"

    def _length(self, root: Path) -> float:
        """Seconds that an undisturbed run takes from its first epoch."""
        process = self.start(root, "undisturbed", pause=self.pause)
        say_go(process)
        wait_for(process, "begun")
        begin = time.monotonic()
        process.communicate(timeout=300)
        return time.monotonic() - begin

    def probe_status(self, work: Path) -> Outcome:
        root = self.fresh(work)
        process = self.start(root, "one", pause=max(1.0, 4 * self.pause))
        say_go(process)
        wait_for(process, "epoch 3")
        running = self._status(root)
        kill(process)
        killed = self._status(root)
        text = f"status while running: {running}; after kill -9: {killed}"
        return Outcome(YES if running and killed and running != killed else NO, text)

    def _status(self, root: Path) -> str | None:
        try:
            found = [r for r in self.records(root) if r.name == "one"]
        except ProbeError as error:
            return f"unreadable ({error})"[:80]
        return found[0].status if found else None

    def probe_together(self, work: Path) -> Outcome:
        counts, fine = [], True
        for n, same in ((2, True), (8, True), (8, False)):
            whole = self._together(work, n, same)
            counts.append(f"{whole} of {n} whole" + (" under one name" if same else " under many"))
            fine &= whole == n or not same
        text = "written at once: " + ", ".join(counts)
        if fine:
            return Outcome(YES if whole == n else PARTLY, text)
        return Outcome(PARTLY if whole == 8 else NO, text)

    def _together(self, work: Path, n: int, same: bool) -> int:
        root = self.fresh(work)
        lrs = [round(0.01 * (i + 1), 2) for i in range(n)]
        started = [self.start(root, "same" if same else f"run{i}", lr) for i, lr in enumerate(lrs)]
        for process in started:
            say_go(process)
        for process in started:
            process.communicate(timeout=300)
        try:
            found = self.records(root)
        except ProbeError:
            return 0
        return sum(any(is_right(record, lr) for record in found) for lr in lrs)

    def probe_same_name(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "again", 0.01)
        self.save(root, "again", 0.02)
        found = self.records(root)
        kept = [lr for lr in (0.01, 0.02) if any(is_right(record, lr) for record in found)]
        text = f"saved twice under one name: {len(kept)} of 2 records found whole"
        return Outcome(YES if len(kept) == 2 else NO, text)

    def probe_nan(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "nan")
        values = self.records(root)[0].history.get("val_loss", [])
        value = values[NAN_EPOCH - 1] if len(values) >= NAN_EPOCH else None
        text = f"epoch {NAN_EPOCH} of {len(values)} was NaN, read back as {value!r}"
        return Outcome(YES if value is not None and value != value else NO, text)

    def probe_flips(self, work: Path) -> Outcome:
        told, kinds = [], 0
        for kind in ("config", "metric", "weights"):
            noticed, silent = self._flips(work, kind)
            kinds += noticed == FLIPS
            told.append(
                f"{kind} {noticed} of {FLIPS}"
                + f" ({silent} changed or lost in silence)" * (silent > 0)
            )
        text = "flipped bits noticed: " + ", ".join(told) + self.how_checked()
        return Outcome(YES if kinds == 3 else PARTLY if kinds else NO, text)

    def how_checked(self) -> str:
        return " (by reading; there is no command for it)"

    def _flips(self, work: Path, kind: str) -> tuple[int, int]:
        """How many flips were noticed; how many were not, though what is read is another."""
        root, noticed, silent = self.fresh(work), 0, 0
        self.save(root, "flip")
        if complaint := self.check(root):
            raise ProbeError(f"complains of a record that is whole: {complaint}")
        for turn in range(FLIPS):
            kept = work / "kept"
            shutil.copytree(root, kept, symlinks=True)
            places = self.flip_places(root, kind)
            if not places:
                raise ProbeError(f"found no bytes of the {kind} to flip")
            path, offset = places[turn % len(places)]
            flip(path, offset + turn)
            complaint = self.check(root)
            noticed += complaint is not None
            silent += complaint is None and not self._is_read_right(root)
            shutil.rmtree(root)
            kept.rename(root)
        return noticed, silent

    def _is_read_right(self, root: Path) -> bool:
        try:
            return any(is_right(record, LR) for record in self.records(root))
        except ProbeError:
            return False

    def probe_facts(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "facts")
        facts = self.ask("facts", root)
        there = [key for key in ("code", "environment", "command") if facts.get(key)]
        seen = "; ".join(f"{key}: {str(facts.get(key) or 'nothing')[:70]}" for key in facts)
        return Outcome((NO, PARTLY, PARTLY, YES)[len(there)], seen)

    def facts(self, root: Path) -> dict[str, Any]:
        """What the tool recorded without being asked: code version, packages, command."""
        raise NotImplementedError

    def probe_plain(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "plain")
        answer = self.ask("plain", root)
        record, needs, imported = Record(**answer["record"]), answer["needs"], answer["imported"]
        if imported:
            raise ProbeError(f"reading without {self.module} imported it")
        parts = {
            "config": str(record.config.get("lr")) == str(LR),
            "history": record.epochs == EPOCHS,
            "weights": record.weights == sha256(weights_of(LR)),
        }
        got = [part for part, there in parts.items() if there]
        mark = YES if len(got) == 3 else PARTLY if got else NO
        return Outcome(mark, f"read without the tool: {', '.join(got) or 'nothing'}; {needs}")

    def plain(self, root: Path) -> tuple[Record, str]:
        """Read the record with the standard library alone; say what that takes."""
        raise NotImplementedError

    def probe_copied(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "moved")
        elsewhere = work / "other machine" / root.name
        elsewhere.parent.mkdir(exist_ok=True)
        shutil.copytree(root, elsewhere, symlinks=True)
        shutil.rmtree(root)
        try:
            record = self.records(elsewhere)[0]
        except ProbeError as error:
            return Outcome(NO, f"the copied folder is not readable: {error}")
        finally:
            shutil.rmtree(elsewhere.parent)
        if is_right(record, LR):
            return Outcome(YES, "copied, the original removed: config, history and weights read")
        weights = "with" if record.weights else "without its"
        return Outcome(PARTLY, f"after the copy {record.epochs} epochs read, {weights} weights")

    def probe_listing(self, work: Path, runs: int) -> Outcome:
        root = self.fresh(work)
        n = self.ask("many", root, str(runs))
        command = self.listing(root)
        seconds = []
        for _ in range(3):
            begin = time.monotonic()
            done = self.tool(*command, cwd=root)
            seconds.append(time.monotonic() - begin)
        rows = done.stdout.count("many") or len(done.stdout.splitlines())
        best, shown = min(seconds), Path(command[0]).name + " " + " ".join(command[1:3])
        return Outcome(f"{best:.1f} s", f"{n} runs, `{shown[:40]}`, best of 3; {rows} rows")

    def many(self, root: Path, n: str) -> int:
        """Write that many small runs whose names hold "many"; return how many there are."""
        raise NotImplementedError

    def listing(self, root: Path) -> list[str]:
        """The command that lists them."""
        raise NotImplementedError

    # The rest of the probes, and the roots

    def fresh(self, work: Path) -> Path:
        """A new root."""
        self._roots = getattr(self, "_roots", 0) + 1
        root = work / f"root{self._roots}"
        root.mkdir(parents=True)
        self.prepare(root)
        return root


class ProbeError(Exception):
    """A process that a probe started failed, or the probe could not do what it is for."""


# Small tools ----------------------------------------------------------------------------------


def git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def say_go(process: subprocess.Popen) -> None:
    wait_for(process, "ready")
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


def wait_for(process: subprocess.Popen, word: str) -> None:
    """Wait until the writer says a line that begins with a word."""
    assert process.stdout
    for line in process.stdout:
        if line.startswith(word):
            return
    raise ProbeError(f"the writer ended before it said {word!r}")


def kill_after(process: subprocess.Popen, word: str, seconds: float) -> int:
    """Kill a writer a while after it said a word; return how many epochs it had logged."""
    say_go(process)
    wait_for(process, word)
    time.sleep(seconds)
    kill(process)
    assert process.stdout
    return sum(line.startswith("epoch ") for line in process.stdout)


def kill(process: subprocess.Popen) -> None:
    """Kill a process and all that it started, as a scheduler or the kernel does."""
    for pid in [*descendants(process.pid), process.pid]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def descendants(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found, ahead = [], [pid]
    while ahead:
        one = ahead.pop()
        children = [child for child, parent in parents.items() if parent == one]
        found += children
        ahead += children
    return found


def anonymous(text: str, work: Path) -> str:
    """A text without the folders of this machine."""
    for folder in (work, Path(__file__).resolve().parent, Path(sys.prefix), Path.home()):
        text = text.replace(f"{folder}/", "").replace(str(folder), ".")
    return text


def find(root: Path, needle: bytes) -> list[tuple[Path, int]]:
    """Where bytes occur in the files below a folder."""
    found = []
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink()):
        offset = path.read_bytes().find(needle)
        if offset >= 0:
            found.append((path, offset))
    return found


def flip(path: Path, offset: int) -> None:
    """Flip the lowest bit of a byte, keeping the file's times: as a disk would."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[offset] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    path.chmod(before.st_mode)


def sqlite_rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    import sqlite3

    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        return database.execute(query).fetchall()


# The script of a tracker ------------------------------------------------------------------------


def main(tracker: Tracker) -> None:
    """`write` and `ask` are for the probes; `probe` runs them all and writes a JSON file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("write", "ask", "probe"))
    parser.add_argument("where", type=Path)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_intermixed_args()
    os.environ.update(QUIET)
    if options.what == "write":
        _write(tracker, options.where.resolve(), *options.words)
    elif options.what == "ask":
        _answer(tracker, options.where.resolve(), *options.words)
    else:
        _probe(tracker, options.where, options.words, options.runs, options.out)


def _write(tracker: Tracker, root: Path, name: str, lr: str, pause: str) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    if float(pause) < 0:
        tracker.write(root, name, LR, iter(range(1, EPOCHS + 1)))
        print("saving", flush=True)
        while True:
            for each in (2 * LR, LR):
                tracker.write(root, name, each, iter(range(1, EPOCHS + 1)))
    tracker.write(root, name, float(lr), _epochs(float(pause)))
    print("end", flush=True)


def _epochs(pause: float) -> Iterator[int]:
    """The epochs; each is acknowledged once the tracker has come back for the next."""
    print("begun", flush=True)
    for epoch in range(1, EPOCHS + 1):
        time.sleep(pause)
        yield epoch
        print(f"epoch {epoch}", flush=True)


def _answer(tracker: Tracker, root: Path, method: str, *words: str) -> None:
    answer = getattr(tracker, method)(root, *words)
    if method == "read":
        answer = [asdict(record) for record in answer]
    if method == "plain":
        record, needs = answer
        imported = tracker.module in sys.modules
        answer = {"record": asdict(record), "needs": needs, "imported": imported}
    print("ANSWER " + json.dumps(answer, default=str), flush=True)


def _sanity(tracker: Tracker, work: Path) -> str | None:
    """What is wrong if one undisturbed experiment does not come back whole."""
    shutil.rmtree(work, ignore_errors=True)
    root = tracker.fresh(work)
    try:
        tracker.save(root, "sane")
        found = tracker.records(root)
    except ProbeError as error:
        return f"an undisturbed experiment: {error}"
    finally:
        shutil.rmtree(work)
    right = len(found) == 1 and is_right(found[0], LR)
    return None if right else f"an undisturbed experiment is not read back: {found}"[:300]


def _probe(tracker: Tracker, work: Path, only: list[str], runs: int, out: Path | None) -> None:
    from features import FEATURES

    outcomes, work = {}, work.resolve()
    home = work / "home"
    home.mkdir(parents=True, exist_ok=True)
    os.environ["HOME"] = str(home)
    sane = _sanity(tracker, work / "sanity")
    for key in only or FEATURES:
        probe: Callable[..., Outcome] | None = getattr(tracker, f"probe_{key}", None)
        folder = work / key
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        begin = time.monotonic()
        try:
            if sane is not None:
                outcome = Outcome(UNKNOWN, sane)
            elif probe is None:
                outcome = Outcome(UNKNOWN, "no probe")
            else:
                outcome = probe(folder, runs) if key == "listing" else probe(folder)
        except Exception as error:  # what a probe could not do is an outcome, not an end
            outcome = Outcome(UNKNOWN, f"{type(error).__name__}: {error}"[:300])
        outcome = Outcome(outcome.mark, anonymous(outcome.evidence, folder))
        outcomes[key] = asdict(outcome)
        took = time.monotonic() - begin
        print(
            f"  {tracker.name}: {key}: {outcome.mark} ({took:.0f} s): {outcome.evidence}",
            flush=True,
        )
        shutil.rmtree(folder, ignore_errors=True)
    if out:
        out.write_text(json.dumps(outcomes, indent=1, sort_keys=True) + "\n")
