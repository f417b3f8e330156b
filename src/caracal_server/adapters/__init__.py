"""The world as the ports describe it: stores, signatures, clocks, upstream connections."""
