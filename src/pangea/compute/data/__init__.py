"""What chunks are when they aren't just bytes: arrays and tables in standard formats, in pure Python, on the host and in the guest."""
