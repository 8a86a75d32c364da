"""demo shows: the browser page, thin, on what `realtime` says. It comes with a later release."""
