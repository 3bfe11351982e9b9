"""``python -m homodyne_cli``: the command line, whoever owns the command ``homodyne``."""

from homodyne_cli.cli.app import main

if __name__ == "__main__":
    main()
