"""Whether fine-tuning on some reviewed events of a person helps on the person's other recording.

review       events of a recording decided by its truth, and what `review --crops` would keep of it
examination  the other recording before and after, and with a memory of the same events
"""
