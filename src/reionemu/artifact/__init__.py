"""The record of one experiment: a directory of plain files, written once and read for years.

<root>/<name>/
    info.json              what this is: name, time, dataset, files, training box
    configs.json           the choices made before the run
    results.json           what came of it: status, metrics, history
    provenance.json        what made it: code, machine, data; and a checksum of every file
    normalizers.npz        mean and deviation of inputs (and targets)
    model.pt               the checkpoint as it was given, for PyTorch
    weights.safetensors    the weights again, readable without pickle and without PyTorch,
                           with the options the model was built with
A record of the kind "inference" has instead of the last three:
    posterior.safetensors  samples, and what follows from each
    data.json              the band powers that the emulator was compared with

<root>/.runs/<name>/       runs of the name that have not completed
<root>/.history/<name>/    earlier records of the same name

layout         names of files and folders
formats/       the files themselves
dataset, lineage, code_version, provenance
               what is recorded of data, code and machine
placing        names, and putting a directory in place in one step
experiment     what a record is made of
write          save_artifact and its helpers
recording      start_artifact: a record written as the run goes; run, run_folder, pulse, runs
read           load_artifact: a record, its model, its emulator; folder, facts, assembling,
               fitting, unfinished
checking/      whether a record is whole
past           earlier records of a name: history, restore, prune
collection/    catalogue: many records
sharing/       export and import, model cards, RO-Crate, MLflow
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Artifact": ".read",
        "Catalogue": ".collection.records",
        "catalogue": ".collection.records",
        "diff": ".collection.difference",
        "create_artifact_dir": ".write",
        "dataset_summary": ".dataset",
        "export_artifact": ".sharing.bundle",
        "file_fingerprint": ".dataset",
        "import_artifact": ".sharing.bundle",
        "load_artifact": ".read",
        "load_normalizers": ".formats.sidecars",
        "log_to_mlflow": ".sharing.mlflow",
        "model_card": ".sharing.card",
        "read_json": ".formats.jsonio",
        "ro_crate": ".sharing.crate",
        "save_artifact": ".write",
        "save_configs": ".write",
        "save_info": ".write",
        "save_model_checkpoint": ".formats.sidecars",
        "save_normalizers": ".formats.sidecars",
        "save_results": ".write",
        "Finding": ".checking.verify",
        "Run": ".run",
        "Verification": ".checking.verify",
        "start_artifact": ".recording",
        "verify_artifact": ".checking.verify",
    },
)
