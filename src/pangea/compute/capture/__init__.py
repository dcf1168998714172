"""What travels with a job: the live functions and values, as they are at submission.

`archive` is the door. `walk` numbers what is reached; `callables`, `classes`, `instances`, `library` and `modules` describe it,
each kind of thing in its own way; `proof` finds the text of a code object, and proves that it is its text. `runtime.guest.graph`
is the other side.
"""
