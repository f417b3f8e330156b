"""`python -m caracal_server.cli`."""

from caracal_server.cli.program import main

main()
