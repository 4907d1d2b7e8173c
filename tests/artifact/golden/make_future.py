"""Make golden/future: what a release that does not exist yet might write.

    python make_future.py v1-provenance/four_param future/four_param

Every document of a record gets version 2 and fields, and kinds of values, that version 1 does not
have. Nobody's code wrote this; it is how later versions are expected to differ.
"""

import json
import shutil
import sys
from pathlib import Path

from reionemu.artifact.provenance import file_entry, seal

NEW = {
    "info.json": {"licence": "CC-BY-4.0", "cosmology": {"h": 0.7}},
    "configs.json": {"augmentation": {"rotations": 4}},
    "results.json": {"energy_kwh": 0.25},
}


def edit_weights(path: Path) -> None:
    """Version 2 of the metadata, with a field more."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    document = json.loads(header["__metadata__"]["reionemu"])
    document |= {"version": 2, "precision": "float32"}
    header["__metadata__"]["reionemu"] = json.dumps(document, sort_keys=True)
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + content[8 + size :])


def main(source: Path, out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(source, out)
    for name, fields in NEW.items():
        document = json.loads((out / name).read_text()) | fields | {"schema_version": 2}
        if name == "info.json":
            document["dataset"]["doi"] = "10.1234/5678"
        text = json.dumps(document, indent=4, sort_keys=True, allow_nan=False) + "\n"
        (out / name).write_text(text)
    edit_weights(out / "weights.safetensors")
    provenance = json.loads((out / "provenance.json").read_text())
    cluster = {"scheduler": "slurm", "job": 17}
    provenance |= {"schema_version": 2, "cluster": cluster}
    provenance["lineage"].insert(0, {"step": "simulation", "code": "another"})
    for name, entry in provenance["files"].items():
        assert set(entry) == {"sha256", "size_bytes"}
        provenance["files"][name] = file_entry((out / name).read_bytes())
    (out / "provenance.json").write_bytes(seal(provenance))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
