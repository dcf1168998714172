"""The `pangea` command: arguments in, text and exit codes out.

What a command does is done in the rooms below; nothing may import this one, and no logic that Python's users lack may be here.
"""
