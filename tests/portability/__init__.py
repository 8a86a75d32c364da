"""What other systems lack, taken away on Linux, and what each system has wheels of.

prelude/            sitecustomize: takes names away before anything is imported
stripped_child      starts commands in a Python that lacks them, as do its children
wheels              python -m tests.portability.wheels: which dependency has a wheel where
worker_throughput   python -m tests.portability.worker_throughput: what the capture worker costs
"""
