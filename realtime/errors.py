"""The errors of the stream side are the project's own tree; see `engines.errors`."""

from microspot.engines.errors import DataError, EngineError, MicrospotError, SourceError, UsageError

__all__ = ["DataError", "EngineError", "MicrospotError", "SourceError", "UsageError"]
