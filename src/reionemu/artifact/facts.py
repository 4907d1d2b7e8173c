"""What a record says of the data its model was trained on; what it does not say is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..data.normalization import Normalizer
from ..errors import MissingRecordError, RecordError, ReionemuError
from .dataset import dataset_summary, file_fingerprint


class Facts:
    """What a record says of its data, and a list of what was needed and is not there."""

    def __init__(
        self,
        path: Path,
        info: Mapping[str, Any],
        configs: Mapping[str, Any],
        normalizers: Mapping[str, Normalizer],
        shortfall: str = "",
    ) -> None:
        self._path, self._configs, self._normalizers = path, configs, normalizers
        self._shortfall = shortfall
        self.missing: list[str] = []
        dataset = section(info, "dataset")
        build = section(section(configs, "dataset_prep"), "build_xy")
        self.known: dict[str, Any] = {
            **build,
            **{k: v for k, v in dataset.items() if v is not None},
        }
        if "parameter_ranges" not in self.known:
            self.known = {**self.known, **_unchanged_dataset(dataset)}
        self.known["bounds"] = info.get("training_box") or self.known.get("parameter_ranges")

    def get(self, field_name: str, given: Any) -> Any:
        """What the caller gave, else what is recorded, else None and a note that it is missing."""
        value = given if given is not None else self.known.get(field_name)
        if value is None or (field_name == "param_names" and value in ([], ())):
            self.missing.append(field_name)
            return None
        return value

    def normalizers(self, given: Mapping[str, Any] | None) -> Mapping[str, Normalizer | None]:
        """Normalizers by name; what the loaders' configuration says was used must be there."""
        if given is not None:
            return given
        saved = self._normalizers
        loader = section(section(self._configs, "data_loading"), "dataloader")
        if not saved and not loader:
            self.missing.append("normalizers")
        if any(loader.get(f"normalize_{axis}") and axis not in saved for axis in "XY"):
            self.missing.append("normalizers")
        return saved

    def require_all(self) -> None:
        """Raise MissingRecordError naming all that is missing."""
        if self.missing:
            fields = tuple(dict.fromkeys(self.missing))
            if self._shortfall:
                raise MissingRecordError(f"{self._path}: {self._shortfall}", fields=fields)
            arguments = ", ".join(f"{name}=..." for name in fields)
            raise MissingRecordError(
                f"{self._path} does not record {', '.join(fields)}, and its dataset is "
                f"not at hand unchanged; pass them: emulator({arguments})"
                + (' (bounds="unbounded" for no check)' if "bounds" in fields else ""),
                fields=fields,
            )


def _unchanged_dataset(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of the recorded dataset file, if it is still the file that was recorded."""
    recorded = dataset.get("fingerprint") or {}
    with suppress(ReionemuError, OSError, TypeError, KeyError):
        path = Path(recorded["path"])
        if file_fingerprint(path) == recorded:
            return {k: v for k, v in dataset_summary(path).items() if v is not None}
    return {}


def section(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object inside a JSON document; empty if it is absent or null."""
    part = document.get(key)
    if part is not None and not isinstance(part, Mapping):
        raise RecordError(f"the record is damaged: {key!r} is not a JSON object but {part!r:.60}")
    return part or {}
