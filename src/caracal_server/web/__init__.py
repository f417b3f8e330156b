"""The HTTP vocabulary that every edge shares: reading requests, routing, answering, refusing.

It knows status codes and headers and nothing of what a service does. It must never decide, store,
or let anything internal into an answer. Open `problems.py` first.
"""
