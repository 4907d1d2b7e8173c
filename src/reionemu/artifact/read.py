"""Reading an artifact back: its documents, its model, and an emulator in physical units."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import check_keys, require_choice
from ..data.normalization import Normalizer
from ..errors import (
    MissingRecordError,
    RecordError,
    ReionemuWarning,
)
from ..models.companions import Companions
from ..models.dense import DenseNetwork
from ..models.emulator import Emulator
from ..models.registry import (
    build_model,
    complete_options,
    dense_layers,
    model_kind,
    surrogate_kind,
)
from ..models.spectrum import Network
from ..models.torch_network import TorchNetwork
from ..parameters import ParameterBox
from ..targets import Y_SOURCES, Y_TRANSFORMS, Target
from .assembling import assemble, network_spectrum, surrogate_spectrum, try_out
from .facts import Facts, section
from .fitting import require_fitting
from .folder import Folder, find_record
from .formats.journal import as_history, read_journal
from .formats.sidecars import (
    MAX_WEIGHTS_BYTES,
    decode_checkpoint,
    decode_companions,
    decode_normalizers,
    decode_predictions,
    decode_weights,
    require_numbers,
)
from .layout import (
    BAND_POWERS,
    CHECKPOINT,
    COMPANIONS,
    CONFIGS,
    EMULATOR,
    INFERENCE,
    INFO,
    JOURNAL,
    NORMALIZERS,
    POSTERIOR,
    PREDICTIONS,
    PROVENANCE,
    RESULTS,
    WEIGHTS,
)
from .provenance import file_entry
from .runs import INTERRUPTED, RUNNING, status_of
from .unfinished import shortfall

if TYPE_CHECKING:
    from torch import nn

    from .checking.verify import Verification

UNBOUNDED = "unbounded"


@dataclass(frozen=True, repr=False, eq=False)
class Artifact:
    """One record, as it was when it was loaded.

    Attributes
    ----------
    path : Path
    info, configs, results : dict
        The JSON documents.
    provenance : dict
        What made it (provenance.json); empty for records of other programs.
    normalizers : dict of Normalizer
        By name; empty if none were saved.
    """

    path: Path
    info: dict[str, Any]
    configs: dict[str, Any]
    results: dict[str, Any]
    provenance: dict[str, Any]
    normalizers: dict[str, Normalizer]
    _files: dict[str, bytes]
    _changed: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"<Artifact {self.name!r} at {self.path}, {self.results.get('status', 'no results')}>"
        )

    @property
    def name(self) -> str:
        """Name of the run."""
        return str(self.info.get("experiment_name") or self.path.name)

    @property
    def kind(self) -> str:
        """What it is a record of: "emulator", "inference", or what the writer said."""
        return str(self.info.get("kind") or EMULATOR)

    @property
    def status(self) -> str:
        """One of "completed", "failed", "running", "interrupted"; or what the writer said."""
        return str(self.results.get("status", "not recorded"))

    def verify(self) -> Verification:
        """Check that the record on disk is whole, and predicts what it did."""
        from .checking.verify import verify_artifact

        return verify_artifact(self.path)

    def export(self, out: str | Path, *, overwrite: bool = False) -> Path:
        """Write the record on disk to one zip file; see `export_artifact`."""
        from .sharing.bundle import export_artifact

        return export_artifact(self.path, Path(out), overwrite=overwrite)

    def model(self, *, state_dict: Mapping[str, Any] | None = None, **options: Any) -> nn.Module:
        """The network, built from its record, with its weights, in evaluation mode.

        Parameters
        ----------
        state_dict : mapping, optional
            Weights to use instead of the artifact's.
        **options
            What the record lacks, or should be overruled in: "class_name" and options of the
            class, such as "activation".

        Raises
        ------
        MissingRecordError
            Naming an option that is neither recorded nor told by the weights.
        RecordError
            If weights and record do not belong together.
        """
        import torch

        self._require_emulator()
        record, weights = self._model_record(options, state_dict)
        if surrogate_kind(record["class_name"]) is not None:
            raise RecordError(
                f"{self.path}: a {record['class_name']} is no network of PyTorch; use emulator()"
            )
        model = build_model(record)
        tensors = {name: torch.tensor(np.asarray(value)) for name, value in weights.items()}
        try:
            model.load_state_dict(tensors)
        except RuntimeError as error:
            raise RecordError(
                f"{self.path}: the weights do not belong to the recorded model: {error}"
            ) from None
        return model.eval()

    def emulator(
        self,
        *,
        y_transform: str | None = None,
        y_source: str | None = None,
        eps: float | None = None,
        ell: Any = None,
        param_names: tuple[str, ...] | None = None,
        bounds: Mapping[str, tuple[float, float]] | str | None = None,
        normalizers: Mapping[str, Normalizer | None] | None = None,
        state_dict: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Emulator:
        """A predictor of spectra in physical units.

        Everything comes from the record, or from the recorded dataset if it is still there and
        unchanged. What is in neither must be given here, by name; nothing is guessed. What is
        given overrules the record.

        Parameters
        ----------
        y_transform : {"ln", "log10", "none"}, optional
        y_source : {"dl_ksz", "cl_ksz"}, optional
        eps : float, optional
            Added before the logarithm [uK^2].
        ell : array_like, shape (b,), optional
            Bin centres.
        param_names : tuple of str, optional
        bounds : mapping {name: (low, high)} or "unbounded", optional
            Where the emulator may be asked; "unbounded" for no check at all.
        normalizers : mapping, optional
            {"X": Normalizer or None, "Y": ...}; {} for data that were not normalized.
        state_dict, **options
            As in `model`.

        Raises
        ------
        MissingRecordError (ValueError)
            Naming everything that is needed; its `.fields` are keyword arguments of this method.
            Of a run that has not completed: saying so.
        RecordError (ValueError)
            If the parts of the record do not fit together.
        """
        self._require_emulator()
        facts = Facts(self.path, self.info, self.configs, self.normalizers, shortfall(self))
        names = facts.get("param_names", param_names)
        target = {
            "y_transform": facts.get("y_transform", y_transform),
            "y_source": facts.get("y_source", y_source),
        }
        logarithmic = target["y_transform"] not in (None, "none")
        target["eps"] = facts.get("eps", eps) if logarithmic else 0.0
        centres = facts.get("ell", ell)
        box = facts.get("bounds", bounds)
        norms: Mapping[str, Normalizer | None] = {}
        try:
            record, weights = self._model_record(options, state_dict)
        except MissingRecordError as error:
            facts.normalizers(normalizers)
            if not facts.missing:
                raise
            facts.missing.extend(error.fields)
        else:
            if surrogate_kind(record["class_name"]) is None:
                norms = facts.normalizers(normalizers)
        facts.require_all()
        require_choice("emulator", "y_transform", target["y_transform"], Y_TRANSFORMS)
        require_choice("emulator", "y_source", target["y_source"], Y_SOURCES)

        companions = self.companions() if state_dict is None else Companions()
        try:
            names = tuple(str(name) for name in names)
            goal = Target(target["y_source"], target["y_transform"], float(target["eps"]))
            require_fitting(companions, names, len(centres))
            if surrogate_kind(record["class_name"]) is not None:
                spectrum = surrogate_spectrum(record, weights, goal, names, companions)
            else:
                network = self._network(record, weights, state_dict, options)
                spectrum = network_spectrum(network, goal, norms, companions)
            bounded = None if box == UNBOUNDED else ParameterBox.from_mapping(box, names)
            emulator = assemble(spectrum, centres, names, bounded, companions)
        except (TypeError, ValueError, OverflowError, LookupError, AttributeError) as error:
            message = str(error)[:500]  # which may name half a million parameters
            raise RecordError(
                f"{self.path}: what is recorded, or given, of the data cannot be used: {message}"
            ) from None
        try_out(emulator, self.path)
        return emulator

    def companions(self) -> Companions:
        """What goes with the model: error bars, history, and what it was trained on.

        Empty for a model that was saved alone.
        """
        self._require_unchanged()
        if (content := self._files.get("companions")) is None:
            return Companions()
        return decode_companions(content, str(self.path / COMPANIONS))

    def predictions(self) -> dict[str, np.ndarray]:
        """Predictions of simulations by models that were not trained on them.

        Returns
        -------
        dict of ndarray
            "row" (n,), of the training arrays; "part" (n,), 0 for training rows, predicted by
            models that did not see them, 1 for "val", 2 for "test"; "mean", "std", "truth" (n, b),
            in the space of targets. Empty if none were recorded.
        """
        content = self.unchanged("predictions", PREDICTIONS)
        if content is None:
            return {}
        return decode_predictions(content, str(self.path / PREDICTIONS))

    def unchanged(self, part: str, default: str) -> bytes | None:
        """The content of a file, by its part in info.json or its usual name; None if it has none.

        Raises
        ------
        RecordError (ValueError)
            If it is not the one that was saved.
        """
        name = section(self.info, "artifacts").get(part, default)
        if name in self._changed:
            raise RecordError(f"{self.path / name} changed after the record was saved")
        return self._files.get(part)

    def _network(
        self,
        record: Mapping[str, Any],
        weights: Mapping[str, np.ndarray],
        state_dict: Mapping[str, Any] | None,
        options: Mapping[str, Any],
    ) -> Network:
        layers = dense_layers(record)
        if layers is not None:
            return DenseNetwork(layers, weights)
        return TorchNetwork(self.model(state_dict=state_dict, **options))

    def _require_emulator(self) -> None:
        if self.kind == INFERENCE:
            raise RecordError(
                f"{self.path} is a posterior, and no emulator: "
                "reionemu.inference.load_posterior(path) reads it"
            )

    def _require_unchanged(self) -> None:
        """Refuse to compute with files that are not those that were saved."""
        files = section(self.info, "artifacts")
        used = "weights" if "weights" in self._files else "model_checkpoint"
        defaults = {
            "weights": WEIGHTS,
            "model_checkpoint": CHECKPOINT,
            "normalizers": NORMALIZERS,
            "companions": COMPANIONS,
        }
        relevant = {files.get(part, defaults[part]) for part in (used, "normalizers", "companions")}
        if damaged := [name for name in self._changed if name in relevant]:
            raise RecordError(
                f"{self.path}: {', '.join(damaged)} changed after the record was saved; nothing is "
                "computed from it. `reionemu artifact verify` tells more, and `history` lists "
                "earlier records"
            )
        if edited := [name for name in self._changed if name in (INFO, CONFIGS)]:
            warnings.warn(
                f"{self.path}: {', '.join(edited)} changed after the record was saved",
                ReionemuWarning,
                stacklevel=4,
            )

    def _model_record(
        self, options: Mapping[str, Any], state_dict: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The complete record of the model, and its weights as NumPy arrays."""
        self._require_unchanged()
        if state_dict is not None:
            weights = {
                k: np.asarray(getattr(v, "cpu", lambda v=v: v)()) for k, v in state_dict.items()
            }
            stored: dict[str, Any] = {}
        else:
            weights, stored = self._weights()
        recorded = section(self.configs, "model")
        self._warn_of_contradictions(recorded, stored, options)
        record = {**recorded, **stored, **options}
        shapes = {name: array.shape for name, array in weights.items()}
        if surrogate_kind(record.get("class_name")) is not None:
            require_numbers(weights, str(self.path / WEIGHTS))
            return record, weights
        if record.get("class_name"):
            known = model_kind(str(record["class_name"])).option_names
            if known is not None:
                check_keys(options, ("class_name", *known), f"model {record['class_name']}")
        return complete_options(record, shapes), weights

    def _warn_of_contradictions(
        self, recorded: Mapping[str, Any], stored: Mapping[str, Any], given: Mapping[str, Any]
    ) -> None:
        """What the model itself said when it was saved counts for more than what was written."""
        for key in (recorded.keys() & stored.keys()) - given.keys():
            if str(recorded[key]).lower() != str(stored[key]).lower():
                warnings.warn(
                    f"{self.path}: configs.json has model.{key} = {recorded[key]!r}, but the model "
                    f"that was saved had {stored[key]!r}, which is used",
                    ReionemuWarning,
                    stacklevel=5,
                )

    def _weights(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        if "weights" in self._files:
            return decode_weights(self._files["weights"], str(self.path / WEIGHTS))
        if "model_checkpoint" in self._files:
            return decode_checkpoint(self._files["model_checkpoint"], str(self.path / CHECKPOINT))
        lacking = shortfall(self)
        raise MissingRecordError(
            f"{self.path}: {lacking}"
            if lacking
            else f"{self.path} was saved without a checkpoint; pass the weights: state_dict=...",
            fields=("state_dict",),
        )


def load_artifact(path: str | Path) -> Artifact:
    """Read an artifact, whichever release, or the published package, wrote it.

    If no record of the name has been completed, its latest run is read instead, as far as it got:
    see `Artifact.status`.

    Nothing in it is executed. All files are read from one and the same record, even if another
    process replaces it meanwhile.

    Parameters
    ----------
    path : str or Path
        The artifact's folder.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    RecordError (ValueError)
        If it is not an artifact, or one of its files is damaged.
    """
    path = Path(path).expanduser()
    for _ in range(100):
        folder = Folder(find_record(path))
        try:
            artifact = _read_artifact(folder)
        finally:
            folder.close()
        # A run that completes meanwhile moves to its name, and its folder is emptied.
        if artifact.status not in (RUNNING, INTERRUPTED) or folder.path.exists():
            return artifact
    raise RecordError(f"{path} is being replaced incessantly")


def _read_artifact(folder: Folder) -> Artifact:
    path = folder.path
    info = folder.json(INFO, "info")
    if info is None:
        raise RecordError(f"{path} is not an artifact: it has no {INFO}")
    if "schema_version" not in info:
        raise RecordError(f"{path / INFO}: schema_version must be a whole number >= 1")
    files = section(info, "artifacts")
    contents = {
        key: content
        for key, default in (
            ("weights", WEIGHTS),
            ("model_checkpoint", CHECKPOINT),
            ("companions", COMPANIONS),
            ("predictions", PREDICTIONS),
            ("posterior", POSTERIOR),
            ("data", BAND_POWERS),
        )
        if (content := folder.read(_plain_name(files.get(key, default)), MAX_WEIGHTS_BYTES))
        is not None
    }
    normalizers = folder.read(_plain_name(files.get("normalizers", NORMALIZERS)))
    results = folder.json(RESULTS, "results") or {}
    if results.get("status") == RUNNING:
        journal = read_journal(folder.read(JOURNAL, growing=True) or b"")
        status = status_of(path, RUNNING)
        results = {**results, "status": status, "history": as_history(journal)}
    configs = folder.json(CONFIGS, "configs") or {}
    provenance = folder.json(PROVENANCE, "provenance") or {}
    return Artifact(
        path=path,
        info=info,
        configs=configs,
        results=results,
        provenance=provenance,
        normalizers=decode_normalizers(normalizers, str(path / NORMALIZERS))
        if normalizers is not None
        else {},
        _files=contents,
        _changed=_changed(folder.contents, section(provenance, "files")),
    )


def _changed(contents: Mapping[str, bytes], listed: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of files that are not those whose checksums were recorded."""
    return tuple(
        name
        for name, content in contents.items()
        if name in listed and listed[name] != file_entry(content)
    )


def _plain_name(name: Any) -> str:
    plain = isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable()
    if not plain or Path(name).name != name or name == "..":
        raise RecordError(
            f"info.json names the file {name!r:.80}, which is not in the artifact's folder"
        )
    return name
