"""Our HTTP messages from the other side: requests built, answers read, for those who call Caracal.

Open first: `messages.py` (what is sent and what comes back) and `refusals.py` (what went wrong, and the
fix). A reader returns what the answer says or raises a `CaracalError`; it never guesses.
"""
