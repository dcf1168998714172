"""What outlives a crash: journal, blobs, modules, quotas.

No job's course, and no caller, is known here.
"""
