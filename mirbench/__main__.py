"""`python -m mirbench` is the command `mirbench`."""

from mirbench.cli import main

main()
