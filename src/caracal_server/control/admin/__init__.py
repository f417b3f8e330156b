"""The admin API that published clients speak: every request a view, or a small edit, of one zone."""
