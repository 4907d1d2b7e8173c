"""The probes that are the same for all trackers: kill it, run it many times at once, flip bits."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from experiment import (
    EPOCHS,
    LR,
    NAN_EPOCH,
    NO,
    PARTLY,
    YES,
    Outcome,
    ProbeError,
    Record,
    is_right,
    sha256,
    weights_of,
)
from processes import flip, kill, kill_after, say_go, wait_for
from tool import Tool

KILLS, FLIPS = 10, 4


class Tracker(Tool):
    """A tool, and what can be asked of any."""

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
        """How many flips were noticed; how many were not, though what is read is another.

        A flip that neither is noticed nor changes what is read hit a copy that is not used; it
        does not count, and another place is tried.
        """
        root, noticed, silent = self.fresh(work), 0, 0
        self.save(root, "flip")
        if complaint := self.check(root):
            raise ProbeError(f"complains of a record that is whole: {complaint}")
        for turn in range(4 * FLIPS):
            kept = work / "kept"
            shutil.copytree(root, kept, symlinks=True)
            places = self.flip_places(root, kind)
            if not places:
                raise ProbeError(f"found no bytes of the {kind} to flip")
            path, offset = places[turn % len(places)]
            flip(path, offset + turn % 6)
            complaint = self.check(root)
            noticed += complaint is not None
            silent += complaint is None and not self._is_read_right(root)
            shutil.rmtree(root)
            kept.rename(root)
            if noticed + silent == FLIPS:
                break
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
        named = done.stdout.count("many")
        best, shown = min(seconds), Path(command[0]).name + " " + " ".join(command[1:3])
        spread = f"{best:.1f} to {max(seconds):.1f} s in 3"
        return Outcome(f"{best:.1f} s", f"{n} runs, `{shown[:40]}`: {spread}; {named} named")

    def many(self, root: Path, n: str) -> int:
        """Write that many small runs whose names hold "many"; return how many there are."""
        raise NotImplementedError

    def listing(self, root: Path) -> list[str]:
        """The command that lists them."""
        raise NotImplementedError
