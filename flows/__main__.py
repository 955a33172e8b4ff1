"""`python -m flows` is `sightline`."""

from flows.cli import main

main()
