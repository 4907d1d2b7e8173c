"""The files of a record, byte by byte: reading what anyone may have written, and nothing executed.

reading        the bytes of one plain file
jsonio         strict JSON that keeps NaN and infinity
documents      models of the JSON documents
schema         checking documents; the published JSON Schemas
migrations     versions of documents, and the steps between them
journal        history.jsonl
arrays         .npz and safetensors
checkpoint     model.pt, without PyTorch
sidecars       normalizers and weights
posterior      samples of a posterior, and the band powers it is of
"""
