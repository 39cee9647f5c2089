"""One process of several in which `torchrun` starts a dexgrasp command."""

from dexgrasp_cli.cli import main

if __name__ == "__main__":
    main()
