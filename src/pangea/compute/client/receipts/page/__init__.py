"""A receipt as one page for anybody's browser: it checks signatures and hashes, and runs calls again in the browser's own engine.

`assets` are its script, in readable pieces, its style and its frame. Nothing here executes anything, and the page asks nobody.
"""
