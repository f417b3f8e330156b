"""`caracal run`: any program, with its HTTP traffic governed. See `docs/wrap-a-coding-agent.md`.

A proxy on loopback stands between the program and the Gateway: it gets a mandate of its own for each call.
The program never sees one, nor the secret that they are asked with. What can not be governed is refused.
Open first: `launch.py` (what follows what), `routes.py` (what a request means), `proxy.py` (the traffic).
"""
