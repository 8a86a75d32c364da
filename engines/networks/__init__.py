"""The networks in torch, with their preprocessing inside.

mesnet    MESNet, the spotter, in whole and in stream form
spatial   its spatial encoder
pooling   max pooling and ReLU, compiled for training on a CPU
motion    what moved between two crops: grey differences and optical flow
cmnet     CMNet, the recognizer
weights   networks as safetensors
"""
