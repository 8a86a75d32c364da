"""What a coder decided, for later runs and for training.

memory  what rejected events look like, for `watch --memory` and `analyze --memory`
crops   aligned crops around decided events, as sets that training reads
"""
