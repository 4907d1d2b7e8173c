"""A record for others: one file, a model card, metadata that other programs read.

bundle         export_artifact and import_artifact
contents       the files that belong to a record
strictzip      zip files that can be read in one way only
unpacking      a zip file of unknown origin
card, crate    model card and RO-Crate metadata, from what is `recorded`
mlflow         log_to_mlflow
"""
