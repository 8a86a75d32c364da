"""From trained networks to files that other runtimes read, and the proof that they agree.

onnx_export  networks to checked ONNX files; the manifest of a folder of weights
fp16         the FP16 variant of a network, with the flow kept in float32
golden       golden inputs and outputs of every graph, from the networks in float32
parity       one rung of the parity ladder: errors, limits, changed decisions
"""
