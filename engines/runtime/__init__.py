"""How networks run: one contract for every backend, and the backends of a CPU.

engine              Engine and EngineSet, the contract; FunctionEngine, a numpy function behind it
onnx_engine         ONNX Runtime on the CPU, the default
onnxruntime_import  the only import of ONNX Runtime, with its telemetry switched off
torch_engine        PyTorch: the networks as trained, the yardstick of every export
"""
