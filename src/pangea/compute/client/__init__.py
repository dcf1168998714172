"""What a user's program holds: definitions, submission, results, receipts.

Decisions about tasks, formats of inputs and pictures have rooms of their own, and stay out.
"""
