"""Engines on an NVIDIA GPU, by TensorRT or TensorRT for RTX: built, cached, verified, run.

engine_set      what is missing on this machine; all engines of a set, loaded and self-tested
graphs          the ONNX graphs that engines are built from, with golden inputs and outputs
plans           engine files in the cache, built until two builds agree (rung C)
cache           folders of built files: key, manifest, digests, lock
builder         one ONNX graph to one engine file; audit of its types
isolated_build  the same in a child process with fixed addresses
engine          one engine file behind the contract of `runtime.engine`
cuda            GPU tensors, pinned memory, stream and CUDA graphs, through torch
gpu             asks the driver which GPU there is
parity_ladder   rungs A to D for one set of weights
commands        build, verify, list, clean
"""
