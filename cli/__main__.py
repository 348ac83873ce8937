"""`python -m cli` is `firstbell`."""

from cli.main import main

main()
