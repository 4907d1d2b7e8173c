"""The record of one experiment: a directory of plain files, written once and read for years.

<root>/<name>/
    info.json              what this is: name, time, dataset, files, training box
    configs.json           the choices made before the run
    results.json           what came of it: status, metrics, history
    normalizers.npz        mean and deviation of inputs (and targets)
    model.pt               the checkpoint as it was given, for PyTorch
    weights.safetensors    the weights again, readable without pickle and without PyTorch,
                           with the options the model was built with
<root>/.history/<name>/    earlier records of the same name

jsonio         strict JSON that keeps NaN and infinity
dataset        what is recorded of the HDF5 file
sidecars       normalizers and weights
placing        names, and putting a directory in place in one step
write          save_artifact and its helpers
read           load_artifact: a record, its model, its emulator
records        catalogue: many records, found by scan, read at a glance, told by entry,
               searched by query; listing_cache makes that quick
difference     diff: what two have in common; kinship: of their data; side_by_side: of many
bundle         export_artifact, import_artifact: a record as one file, and back
card, crate    what goes with it: a model card, and RO-Crate metadata
mlflow         log_to_mlflow
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Artifact": ".read",
        "Catalogue": ".records",
        "catalogue": ".records",
        "diff": ".difference",
        "create_artifact_dir": ".write",
        "dataset_summary": ".dataset",
        "export_artifact": ".bundle",
        "file_fingerprint": ".dataset",
        "import_artifact": ".bundle",
        "load_artifact": ".read",
        "load_normalizers": ".sidecars",
        "log_to_mlflow": ".mlflow",
        "model_card": ".card",
        "read_json": ".jsonio",
        "ro_crate": ".crate",
        "save_artifact": ".write",
        "save_configs": ".write",
        "save_info": ".write",
        "save_model_checkpoint": ".sidecars",
        "save_normalizers": ".sidecars",
        "save_results": ".write",
        "Finding": ".verify",
        "Run": ".recording",
        "Verification": ".verify",
        "start_artifact": ".recording",
        "verify_artifact": ".verify",
    },
)
