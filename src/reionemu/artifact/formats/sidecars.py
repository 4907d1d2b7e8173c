"""The binary files of an artifact: normalizers and weights."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...data.normalization import Normalizer
from ...errors import RecordError, UnrecordableError
from ...files import write_bytes
from ...models.architecture import RECORD_KEY
from ...models.companions import Companions
from ...models.registry import surrogate_kind
from .arrays import ZIP_ERRORS, npz_arrays, safetensors_arrays
from .checkpoint import read_checkpoint
from .jsonio import decode, to_plain
from .migrations import known_version, migrate
from .reading import read_file

MAX_ARRAY_BYTES = 2**26
MAX_WEIGHTS_BYTES = 2**30
_STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model")
_METADATA = "reionemu"
_PREDICTIONS = {"row": 1, "part": 1, "mean": 2, "std": 2, "truth": 2}
"""Arrays, and their dimensions."""
_MAX_NESTING = 16
_MAX_RECORD_VALUES = 10_000


def save_normalizers(
    artifact_dir: Path,
    normalizers: Mapping[str, Normalizer | None],
    *,
    filename: str = "normalizers.npz",
) -> Path | None:
    """Write the normalizers that are not None as `<name>_mean` and `<name>_std`.

    Returns
    -------
    Path or None
        The file, or None if there was nothing to write.
    """
    arrays = {}
    for name, normalizer in normalizers.items():
        if normalizer is not None:
            arrays[f"{name}_mean"] = np.asarray(normalizer.mean)
            arrays[f"{name}_std"] = np.asarray(normalizer.std)
    if not arrays:
        return None
    return save_npz(Path(artifact_dir) / filename, arrays)


def save_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """Write arrays of numbers by name; UnrecordableError if they are more than is read again."""
    size = sum(np.asarray(array).nbytes for array in arrays.values())
    if size > MAX_ARRAY_BYTES - 2**10 * len(arrays):  # a header each
        raise UnrecordableError(
            f"{path.name} would have {size} bytes, more than are read again ({MAX_ARRAY_BYTES})"
        )
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **dict(arrays))
    write_bytes(path, buffer.getvalue())
    return path


def load_normalizers(path: Path) -> dict[str, Normalizer]:
    """Read normalizers by name.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordError (ValueError)
        If it is not a file of normalizers. Nothing in it is ever executed.
    """
    return decode_normalizers(read_file(Path(path), MAX_ARRAY_BYTES), str(path))


def decode_npz(content: bytes, where: str) -> dict[str, np.ndarray]:
    """Arrays of numbers by name from the bytes of a .npz file."""
    try:
        return npz_arrays(content, MAX_ARRAY_BYTES)
    except ZIP_ERRORS as error:
        raise RecordError(f"{where} is not a file of arrays: {error}") from None


def decode_normalizers(content: bytes, where: str) -> dict[str, Normalizer]:
    """Normalizers from the bytes of their file; `where` is what errors call it."""
    try:
        arrays = npz_arrays(content, MAX_ARRAY_BYTES)
    except ZIP_ERRORS as error:
        raise RecordError(f"{where} is not a file of normalizers: {error}") from None
    names = sorted({name.rpartition("_")[0] for name in arrays})
    try:
        return {name: Normalizer(arrays[f"{name}_mean"], arrays[f"{name}_std"]) for name in names}
    except KeyError as error:
        raise RecordError(f"{where} lacks the array {error.args[0]}") from None


def save_model_checkpoint(
    artifact_dir: Path, checkpoint: Any, *, filename: str = "model.pt"
) -> Path:
    """Write a PyTorch model, a state dict, or a dictionary that holds one, with `torch.save`.

    Prefer a state dict: a whole model is stored as a pickle, which `load_artifact` does not load.
    """
    import torch

    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return _write(Path(artifact_dir) / filename, buffer.getvalue())


def save_weights(artifact_dir: Path, checkpoint: Any, *, filename: str) -> Path | None:
    """Write the weights in a checkpoint as safetensors, with the model's record where known.

    Returns None for a checkpoint that holds no state dict.
    """
    from safetensors.torch import save

    found = _state_of(checkpoint)
    if found is None:
        return None
    state, record = found
    tensors = {name: _for_numpy(value).contiguous().clone() for name, value in state.items()}
    metadata = {"format": "pt"}
    if record:
        document = {"version": known_version("weights"), "model": to_plain(record, "model")}
        metadata[_METADATA] = json.dumps(document, sort_keys=True, allow_nan=False)
    content = _sorted_header(save(tensors, metadata=metadata))
    return _write(Path(artifact_dir) / filename, content)


def save_arrays(
    artifact_dir: Path, arrays: Mapping[str, np.ndarray], document: Mapping[str, Any], filename: str
) -> Path:
    """Write arrays, and a JSON document about them, as safetensors."""
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    text = json.dumps(to_plain(document, filename), sort_keys=True, allow_nan=False)
    content = _sorted_header(save(tensors, metadata={_METADATA: text}))
    return _write(Path(artifact_dir) / filename, content)


def save_surrogate(artifact_dir: Path, model: Any, *, filename: str) -> Path:
    """Write a trained surrogate, in the format of weights."""
    document = {"version": known_version("weights"), "model": surrogate_record(model)}
    return save_arrays(artifact_dir, model.arrays(), document, filename)


def surrogate_record(model: Any) -> dict[str, Any]:
    """Class and options of a surrogate."""
    return {"class_name": type(model).__name__, **model.options()}


def is_surrogate(checkpoint: Any) -> bool:
    """Whether a checkpoint is a surrogate, which says itself what it is made of."""
    return surrogate_kind(type(checkpoint).__name__) is not None and hasattr(checkpoint, "arrays")


def save_companions(artifact_dir: Path, companions: Companions, *, filename: str) -> Path:
    """Write what goes with a trained model."""
    document = {"version": known_version("companions"), "companions": companions.options()}
    return save_arrays(artifact_dir, companions.arrays(), document, filename)


def decode_companions(content: bytes, where: str) -> Companions:
    """What goes with a trained model, from the bytes of its file.

    Raises
    ------
    RecordError (ValueError)
        If it is not such a file.
    """
    options, arrays = _companions(content, where)
    require_numbers(arrays, where)
    try:
        return Companions.from_record(options, arrays)
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise RecordError(f"{where}: {str(error)[:500]}") from None


def companions_options(content: bytes, where: str) -> dict[str, Any]:
    """What is recorded of each part of them beside arrays; RecordError as above."""
    return _companions(content, where)[0]


def _companions(content: bytes, where: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    arrays, metadata = safetensors_arrays(content, where)
    document = migrate("companions", weights_document(metadata, where), f"{where} (metadata)")
    options = document.get("companions")
    if not isinstance(options, dict):
        raise RecordError(f"{where}: its metadata do not say what is in it")
    return options, arrays


def require_numbers(arrays: Mapping[str, np.ndarray], where: str) -> None:
    """Refuse arrays that are empty, or hold anything but finite numbers."""
    for name, array in arrays.items():
        if not array.size or not np.isfinite(array).all():
            raise RecordError(f"{where}: {name!r:.60} is empty, or not made of finite numbers")


def decode_predictions(content: bytes, where: str) -> dict[str, np.ndarray]:
    """Predictions of simulations, see `Artifact.predictions`, from the bytes of their file."""
    arrays = decode_npz(content, where)
    for name, dimensions in _PREDICTIONS.items():
        if name not in arrays or arrays[name].ndim != dimensions:
            raise RecordError(f"{where} lacks the array {name} in {dimensions} dimension(s)")
    rows, tables = ({arrays[n].shape for n, d in _PREDICTIONS.items() if d == k} for k in (1, 2))
    if len(rows) > 1 or len(tables) > 1 or {shape[:1] for shape in tables} != rows:
        raise RecordError(f"{where}: its arrays have different numbers of rows or bins")
    return arrays


def _sorted_header(content: bytes) -> bytes:
    """A safetensors file with the keys of its header in order: same weights, same bytes."""
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True, separators=(",", ":"))
    padded = header.encode() + b" " * (-len(header.encode()) % 8)
    return len(padded).to_bytes(8, "little") + padded + content[8 + size :]


def decode_weights(content: bytes, where: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Weights by name, and the model's record, from the bytes of a safetensors file."""
    weights, metadata = safetensors_arrays(content, where)
    document = weights_document(metadata, where)
    current = migrate("weights", document, f"{where} (metadata)") if document else {}
    record = current.get("model") or {}
    if not isinstance(record, dict):
        raise RecordError(f"{where}: the model in its metadata is not a JSON object")
    return weights, record


def weights_document(metadata: Mapping[str, str], where: str) -> dict[str, Any]:
    """What this project wrote into the metadata of weights, as it is; empty if it did not."""
    if _METADATA not in metadata:
        return {}
    document = decode(metadata[_METADATA].encode(), f"the metadata {_METADATA!r} of {where}")
    if not isinstance(document, dict):
        raise RecordError(f"{where}: its metadata {_METADATA!r} is not a JSON object")
    return document


def decode_checkpoint(content: bytes, where: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The same from the bytes of a PyTorch checkpoint, executing nothing."""
    found = _state_of(read_checkpoint(content, where))
    if found is None:
        raise RecordError(f"{where} holds no state dict; pass the weights: state_dict=...")
    state, record = found
    if not _is_plain(record):
        raise RecordError(f"{where}: its record of the model is not made of plain values")
    return state, record


def model_record(checkpoint: Any) -> dict[str, Any]:
    """What the networks of this package write into their state dicts: class and options, or {}."""
    if is_surrogate(checkpoint):
        return surrogate_record(checkpoint)
    found = _state_of(checkpoint)
    return found[1] if found else {}


def _state_of(checkpoint: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """(tensors by name, the model's record) of a model, a state dict, or a dictionary with one."""
    for _ in range(_MAX_NESTING):
        if hasattr(checkpoint, "state_dict") and not isinstance(checkpoint, Mapping):
            checkpoint = checkpoint.state_dict()
        if not isinstance(checkpoint, Mapping):
            return None
        inner = [checkpoint.get(key) for key in _STATE_DICT_KEYS]
        nested = [x for x in inner if isinstance(x, Mapping) or hasattr(x, "state_dict")]
        if not nested:
            break
        checkpoint = nested[0]
    tensors = all(_is_tensor(value) for value in checkpoint.values())
    if not checkpoint or not tensors or not all(isinstance(key, str) for key in checkpoint):
        return None
    record: Any = getattr(checkpoint, "_metadata", None)
    for key in ("", RECORD_KEY):
        record = record.get(key) if isinstance(record, Mapping) else None
    return dict(checkpoint), dict(record) if isinstance(record, Mapping) else {}


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "detach") or isinstance(value, np.ndarray)


def _is_plain(record: Any) -> bool:
    """Whether a record is made of few plain values; a pickle can say one thing a billion times."""
    level, n_values = [record], 0
    for _ in range(_MAX_NESTING):
        n_values += len(level)
        if n_values > _MAX_RECORD_VALUES:
            return False
        inner: list[Any] = []
        for value in level:
            if isinstance(value, Mapping):
                inner += [*value.keys(), *value.values()]
            elif isinstance(value, (list, tuple)):
                inner += value
            elif not isinstance(value, (str, int, float, type(None))):
                return False
        level = inner
    return not level


def _write(path: Path, content: bytes) -> Path:
    if len(content) > MAX_WEIGHTS_BYTES:
        raise UnrecordableError(
            f"{path.name} would have {len(content)} bytes, more than `load_artifact` reads "
            f"({MAX_WEIGHTS_BYTES}); save the weights alone, or keep them elsewhere"
        )
    write_bytes(path, content)
    return path


def _for_numpy(value: Any) -> Any:
    """A tensor on the CPU, of a type that NumPy has too: bfloat16 becomes float32, exactly."""
    value = value.detach().cpu()
    return value.float() if str(value.dtype) == "torch.bfloat16" else value
