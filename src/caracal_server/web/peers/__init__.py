"""What services that run apart say to each other, and how each proves that it is the one that speaks.

Both ends use this: the peer listeners of services, and `adapters/peers` that ask them. A message here is
read by a service of the same release, or one apart by a minor version: fields are added with a default,
never renamed. Open `services.py` first: who may ask what.
"""
