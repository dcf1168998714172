"""Verified compute for Python: `split`, `execute`, `merge` as WebAssembly, in sandboxes nobody has to trust."""
