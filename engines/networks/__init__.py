"""The networks in torch, with their preprocessing inside.

mesnet        MESNet, the spotter, in whole and in stream form
spatial       its spatial encoder
grid          the cells of the encoder's last layer
pooling       max pooling and ReLU, compiled for training on a CPU
motion        what moved between two crops: grey differences and optical flow
surroundings  the movement around a place
shared_flow   the flow of many frames at once
cmnet         CMNet, the recognizer
branches      its two branches, FFE and ICE
movement_heads  its heads that say what moved
weights       networks as safetensors
"""
