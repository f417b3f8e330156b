"""From a commit to what a release holds, the same bytes on every machine: `make dist`.

It is built without a container engine and is no part of the wheel. `source.py` takes the commit's files,
`python_package.py`, `cli_archive.py`, `chart.py` and `images.py` each make one kind of artifact,
`release.py` lists them, and `rebuild.py` does it all twice and compares. Nothing here may read the clock,
or put into an artifact what the commit and the locks do not say.
"""
