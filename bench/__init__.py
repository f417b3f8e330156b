"""Measurements: each prints ratios against a baseline that ran in the same minute on the same machine."""
