"""Which task may go to whom, who has room, and how an attempt begins and ends.

Nothing here asks whether an answer is true, and nothing looks over all jobs: that is `balancing`.
"""
