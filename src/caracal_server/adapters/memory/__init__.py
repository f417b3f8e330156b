"""What one process keeps in its memory and may forget when it ends."""
