"""Our readers of .npz, safetensors and PyTorch files read what those who wrote them meant."""

from __future__ import annotations

import io
import sys
from collections import Counter, OrderedDict, defaultdict
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from reionemu.artifact.formats.arrays import npz_arrays, safetensors_arrays
from reionemu.artifact.formats.checkpoint import read_checkpoint
from reionemu.artifact.formats.sidecars import decode_checkpoint, save_weights
from reionemu.errors import UnsafeRecordError

BASE = torch.arange(24.0).reshape(4, 6)

arrays = npst.arrays(
    st.sampled_from(["<f8", "<f4", "<f2", ">f4", "<i8", "<i4", "|i1", "|u1", "<u8", "|b1"]),
    npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


def saved(value: Any, **how: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **how)
    return buffer.getvalue()


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), arrays), st.booleans(), st.booleans())
def test_npz_files_are_read_as_numpy_reads_them(
    content: dict[str, np.ndarray], compressed: bool, fortran: bool
) -> None:
    if fortran:
        content = {name: np.asfortranarray(array) for name, array in content.items()}
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **content)
    read = npz_arrays(buffer.getvalue(), 10**6)
    assert read.keys() == content.keys()
    for name, array in content.items():
        np.testing.assert_array_equal(read[name], array)
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=5), arrays.filter(lambda a: a.dtype.isnative)),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3)),
)
def test_safetensors_files_are_read_as_their_library_reads_them(
    content: dict[str, np.ndarray], metadata: dict[str, str]
) -> None:
    content = {name: array for name, array in content.items() if name != "__metadata__"}
    written = safetensors.numpy.save(content, metadata=metadata or None)
    read, found = safetensors_arrays(written, "it")
    expected = safetensors.numpy.load(written)
    assert found == metadata
    assert read.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(read[name], array)
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)


def test_bfloat16_is_read_exactly_as_float32() -> None:
    values = torch.tensor([1.0, -0.0, 3.140625, float("inf"), 1e-40, float("nan")]).bfloat16()
    for array in (
        safetensors_arrays(safetensors.torch.save({"a": values}), "it")[0]["a"],
        read_checkpoint(saved({"a": values}), "it")["a"],
    ):
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, values.float().numpy())
        assert np.signbit(array[1])


TENSORS = {
    "transposed": BASE.T,
    "part": BASE[1:3, ::2],
    "one": torch.tensor(3.0),
    "empty": torch.zeros(0, 5),
    "expanded": torch.ones(1).expand(5),
    "half": BASE.half(),
    "double": BASE.double(),
    "complex": torch.complex(BASE, -BASE),
    "parameter": torch.nn.Parameter(BASE.clone()),
    **{str(kind): BASE.to(kind) for kind in (torch.int8, torch.uint8, torch.int16, torch.int32)},
    "long": BASE.long(),
    "bool": BASE > 3,
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_in_a_checkpoint_are_read_as_pytorch_reads_them(protocol: int) -> None:
    read = read_checkpoint(saved(TENSORS, pickle_protocol=protocol), "it")
    loaded = torch.load(io.BytesIO(saved(TENSORS)), weights_only=True)
    assert read.keys() == loaded.keys()
    for name, tensor in loaded.items():
        np.testing.assert_array_equal(read[name], tensor.detach().numpy())
        assert read[name].dtype == tensor.detach().numpy().dtype
        torch.tensor(read[name])


def test_all_that_a_training_loop_saves_is_read() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    plain = {"epoch": 3, "loss": float("inf"), "seed": 2**70, "best": None, "ok": True, "t": (1, 2)}
    content = saved(
        {
            "model_state_dict": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "rng": torch.get_rng_state(),
            "device": torch.device("cpu"),
            "dtype": torch.float32,
            "size": torch.Size([1, 2]),
            "others": [{1, 2}, Counter("a"), defaultdict(int), b"bytes", OrderedDict(a=1)],
            **plain,
        }
    )
    read = read_checkpoint(content, "it")
    assert {key: read[key] for key in plain} == plain
    assert read["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.999)
    np.testing.assert_array_equal(read["rng"], torch.get_rng_state().numpy())
    weights, _ = decode_checkpoint(content, "it")
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(weights[name], value.numpy())


def test_what_is_not_needed_for_weights_is_refused_and_named() -> None:
    for value, name in (
        (torch.nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
        ({"a": np.float64(1)}, "numpy._core.multiarray.scalar"),
        ({"f": print}, "print"),
    ):
        with pytest.raises(UnsafeRecordError, match=rf"it\.pt holds more than weights.*{name}"):
            read_checkpoint(saved(value), "it.pt")


def test_readers_import_no_pytorch(tmp_path: Any) -> None:
    import subprocess

    (tmp_path / "model.pt").write_bytes(saved({"a": BASE}))
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from reionemu.artifact.formats.sidecars import decode_checkpoint\n"
        "weights, _ = decode_checkpoint(Path(sys.argv[1]).read_bytes(), 'it')\n"
        "assert weights['a'].sum() == 276\nassert 'torch' not in sys.modules\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model.pt")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_weights_that_share_memory_or_are_cut_from_others_are_saved_whole(tmp_path: Any) -> None:
    state = {"a": BASE, "b": BASE.T, "c": BASE[1], "d": BASE.bfloat16()}
    path = save_weights(tmp_path, state, filename="w.safetensors")
    assert path is not None
    read, _ = safetensors_arrays(path.read_bytes(), "it")
    for name, tensor in state.items():
        np.testing.assert_array_equal(read[name], tensor.float().numpy())
