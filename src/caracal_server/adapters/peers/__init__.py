"""What other services are asked for when they run apart. Open `channel.py` first, then `follower.py`."""
