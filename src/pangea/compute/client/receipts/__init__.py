"""A receipt checked and executed again, and disputes settled, on the user's own machine.

What a receipt is belongs to `verification`; here is only what needs an engine and inputs.
"""
