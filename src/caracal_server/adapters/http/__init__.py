"""Upstream connections: `client.py` sends, `egress.py` says where to, `connection.py` speaks HTTP/1.1."""
