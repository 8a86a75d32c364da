"""Figures of a run for Prometheus: `--metrics 127.0.0.1:9108`.

sink      the server, and who may ask it
families  the figures as metrics
"""
