"""Whether a record is whole, and still answers as it did.

findings       what is found
inspection     files against their checksums, schemas and each other
selftest       predictions kept in the record, and made again
verify         all of it, and the dataset: verify_artifact
"""
