"""``python -m homodyne_cli``: the command ``homodyne``."""

from homodyne_cli.cli.process import main

main()
