"""Text that comes in or goes out: whatever people hand in, it ends in a value or in one line.

redaction   what may be shown: no control characters, no secrets of URIs, one line
documents   TOML and JSON files; however they are wrong, the error says why
"""
