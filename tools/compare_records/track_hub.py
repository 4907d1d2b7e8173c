"""Hugging Face Hub with safetensors, used locally: save_pretrained, config.json, a model card."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiment import (
    EPOCHS,
    NA,
    NO,
    PARTLY,
    YES,
    Outcome,
    ProbeError,
    Record,
    config_of,
    epoch_of,
    sha256,
    weights_of,
)
from probes import Tracker
from script import main


def model_class() -> Any:
    """A model whose weights are a NumPy array, with the hub's mixin."""
    import numpy as np
    from huggingface_hub import ModelHubMixin
    from safetensors.numpy import load_file, save_file

    class Model(ModelHubMixin):
        def __init__(self, lr: float, hidden_dim: int, seed: int, model: str) -> None:
            self.weights = np.zeros(1000, np.float32)

        def _save_pretrained(self, save_directory: Path) -> None:
            save_file({"weights": self.weights}, save_directory / "model.safetensors")

        @classmethod
        def _from_pretrained(cls, *, model_id: str, **options: Any) -> Any:
            names = ("lr", "hidden_dim", "seed", "model")
            model = cls(**{key: options[key] for key in names if key in options})
            model.weights = load_file(Path(model_id, "model.safetensors"))["weights"]
            return model

    return Model


class Hub(Tracker):
    name, module = "HF Hub + safetensors", "huggingface_hub"
    saves_at_the_end = True

    def write(self, root: Path, name: str, lr: float, epochs: Iterator[int]) -> None:
        import numpy as np
        from huggingface_hub import EvalResult, ModelCard, ModelCardData

        model = model_class()(**config_of(lr))
        for _ in epochs:
            pass
        model.weights = np.frombuffer(weights_of(lr), np.float32)
        model.save_pretrained(root / name, config=config_of(lr))
        results = [
            EvalResult("regression", "suite", "suite", f"{key}/{epoch}", value)
            for epoch in range(1, EPOCHS + 1)
            for key, value in epoch_of(lr, epoch).items()
        ]
        card = ModelCardData(model_name=name, eval_results=results)
        ModelCard.from_template(card, template_str="---\n{{ card_data }}\n---\n").save(
            root / name / "README.md"
        )

    def read(self, root: Path) -> list[Record]:
        return [self._read(path.parent) for path in sorted(root.glob("*/config.json"))]

    def _read(self, folder: Path) -> Record:
        from huggingface_hub import ModelCard

        model = model_class().from_pretrained(str(folder))
        history: dict[str, list[float]] = {}
        for result in ModelCard.load(folder / "README.md").data.eval_results or []:
            key = result.metric_type.partition("/")[0]
            history.setdefault(key, []).append(float(result.metric_value))
        config = json.loads((folder / "config.json").read_text())
        return Record(folder.name, config, history, sha256(model.weights.tobytes()))

    def probe_killed(self, work: Path) -> Outcome:
        broken, text = self.kills_while_saving(work)
        return Outcome(NO if broken else PARTLY, f"nothing is recorded before the end; {text}")

    def probe_status(self, work: Path) -> Outcome:
        return Outcome(NA, "a folder for models, not for runs: there is no status")

    def facts(self, root: Path) -> dict[str, Any]:
        (folder,) = (path.parent for path in root.glob("*/config.json"))
        text = "".join(path.read_text(errors="replace") for path in folder.rglob("*.*"))
        return {
            "code": None,
            "environment": "huggingface_hub version" if "hub_version" in text else None,
            "command": None,
        }

    def plain(self, root: Path) -> tuple[Record, str]:
        """safetensors: eight bytes of length, a JSON header, then the numbers."""
        (folder,) = (path.parent for path in root.glob("*/config.json"))
        content = (folder / "model.safetensors").read_bytes()
        length = int.from_bytes(content[:8], "little")
        begin, end = json.loads(content[8 : 8 + length])["weights"]["data_offsets"]
        weights = content[8 + length :][begin:end]
        lines = (folder / "README.md").read_text().splitlines()
        values = [
            float(line.split()[-1].strip("."))
            for line in lines
            if line.strip().startswith("value:")
        ]
        config = json.loads((folder / "config.json").read_text())
        return Record(
            "", config, {"train_loss": values[::2]}, sha256(weights)
        ), "JSON, YAML, safetensors"

    def _commands(self, words: str, work: Path) -> list[str]:
        return self.commands_with(words, ("hf", "--help"), cwd=work)

    def probe_compare(self, work: Path) -> Outcome:
        there = self._commands("compare search query list", work)
        return Outcome(NO, f"commands for local folders in `hf --help`: {there}")

    def probe_listing(self, work: Path, runs: int) -> Outcome:
        return Outcome("no command", "folders of models are listed on the hub, not locally")

    def probe_data_hash(self, work: Path) -> Outcome:
        fields = self.ask("card_fields", self.fresh(work))
        text = (
            f"the card names datasets by id and revision: {', '.join(fields)}; no hash of content"
        )
        return Outcome(NO, text)

    def card_fields(self, root: Path) -> list[str]:
        import inspect

        from huggingface_hub import EvalResult, ModelCardData

        names = {
            **inspect.signature(ModelCardData).parameters,
            **inspect.signature(EvalResult).parameters,
        }
        return sorted(name for name in names if "dataset" in name)

    def probe_lineage(self, work: Path) -> Outcome:
        fields = self.ask("card_fields", self.fresh(work))
        return Outcome(PARTLY, f"fields of the card that the caller fills in: {', '.join(fields)}")

    def probe_self_test(self, work: Path) -> Outcome:
        return Outcome(NO, f"commands for it in `hf --help`: {self._commands('verify test', work)}")

    def probe_one_file(self, work: Path) -> Outcome:
        there = self._commands("upload download export import", work)
        text = f"weights and their description are one file; the rest goes over the hub: {there}"
        return Outcome(PARTLY, text)

    def probe_executes(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "planted")
        folder = root / "planted"
        (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch RAN'\ntR.")
        card = folder / "README.md"
        evil = "---\nevil: !!python/object/apply:os.system ['touch RAN']\n"
        card.write_text(card.read_text().replace("---\n", evil, 1))
        try:
            self.records(root)
            said = "read"
        except ProbeError:
            said = "refused"
        ran = bool(list(root.rglob("RAN")))
        return Outcome(
            NO if ran else YES, f"safetensors, JSON and safe YAML; a planted tag was {said}"
        )

    def probe_resume(self, work: Path) -> Outcome:
        return Outcome(NA, "weights are kept, training is not what it is for")

    def probe_schema(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "schema")
        header = (root / "schema" / "model.safetensors").read_bytes()[8:80]
        keys = sorted(json.loads((root / "schema" / "config.json").read_text()))
        text = (
            f"safetensors is documented, header {header[:40]!r} has no version; config.json: {keys}"
        )
        return Outcome(PARTLY, text)


if __name__ == "__main__":
    main(Hub())
