"""What the guest's profile is made of: ordinary small programs, run as jobs in an instrumented guest (`profile.py`).

They are meant to be as broad as what people run, and are none of those that the guest's speed is measured with (`bench/`).
"""
