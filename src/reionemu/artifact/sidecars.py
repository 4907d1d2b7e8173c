"""The binary files of an artifact: normalizers and weights."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..data.normalization import Normalizer
from ..errors import MissingFileError, RecordError
from ..files import write_bytes
from ..models.architecture import RECORD_KEY

MAX_ARRAY_BYTES = 2**26
_STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model")
_METADATA = "reionemu"


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
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    path = Path(artifact_dir) / filename
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
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"{path} does not exist") from None
    return decode_normalizers(content, str(path))


def decode_normalizers(content: bytes, where: str) -> dict[str, Normalizer]:
    """Normalizers from the bytes of their file; `where` is what errors call it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            arrays = {
                info.filename.removesuffix(".npy"): _read_array(archive, info)
                for info in archive.infolist()
            }
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError) as error:
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
    path = Path(artifact_dir) / filename
    write_bytes(path, buffer.getvalue())
    return path


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
        metadata[_METADATA] = json.dumps({"model": record}, sort_keys=True)
    path = Path(artifact_dir) / filename
    write_bytes(path, save(tensors, metadata=metadata))
    return path


def decode_weights(content: bytes, where: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Weights by name, and the model's record, from the bytes of a safetensors file."""
    import safetensors
    import safetensors.numpy

    try:
        weights = safetensors.numpy.load(content)
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__") or {}
        record = json.loads(metadata.get(_METADATA, "{}")).get("model") or {}
    except (safetensors.SafetensorError, ValueError, KeyError, AttributeError) as error:
        raise RecordError(f"{where} is not a safetensors file of weights: {error}") from None
    return weights, record


def decode_checkpoint(content: bytes, where: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The same from the bytes of a PyTorch checkpoint, executing nothing."""
    import pickle

    import torch

    try:
        checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise RecordError(
            f"{where} holds more than weights (a whole model?), and unpickling it would run code. "
            "Load it yourself where its code is at hand, and pass its weights: state_dict=..."
        ) from None
    except Exception as error:  # torch raises whatever a damaged zip or pickle makes it raise
        raise RecordError(f"{where} is not a PyTorch checkpoint: {error}") from None
    found = _state_of(checkpoint)
    if found is None:
        raise RecordError(f"{where} holds no state dict; pass the weights: state_dict=...")
    state, record = found
    return {name: value.detach().float().cpu().numpy() for name, value in state.items()}, record


def _state_of(checkpoint: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """(tensors by name, the model's record) of a model, a state dict, or a dictionary with one."""
    if hasattr(checkpoint, "state_dict") and not isinstance(checkpoint, Mapping):
        checkpoint = checkpoint.state_dict()
    if not isinstance(checkpoint, Mapping):
        return None
    for key in _STATE_DICT_KEYS:
        inner = checkpoint.get(key)
        if isinstance(inner, Mapping) or (inner is not None and hasattr(inner, "state_dict")):
            return _state_of(inner)
    tensors = all(hasattr(value, "detach") for value in checkpoint.values())
    if not checkpoint or not tensors or not all(isinstance(key, str) for key in checkpoint):
        return None
    metadata = (getattr(checkpoint, "_metadata", None) or {}).get("", {})
    return dict(checkpoint), dict(metadata.get(RECORD_KEY, {}))


def _for_numpy(value: Any) -> Any:
    """A tensor on the CPU, of a type that NumPy has too: bfloat16 becomes float32, exactly."""
    value = value.detach().cpu()
    return value.float() if str(value.dtype) == "torch.bfloat16" else value


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array of an .npz file, after checking that it is as large as it claims."""
    if info.file_size > MAX_ARRAY_BYTES:
        raise ValueError(f"{info.filename} claims {info.file_size} bytes")
    with archive.open(info) as file:
        content = file.read(MAX_ARRAY_BYTES)
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(stream)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise ValueError(f"{info.filename} does not hold what its header claims")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
