"""`python -m mirbench` is the command `mirbench`."""

from mirbench.cli.main import main

main()
