"""`python -m wavegrad`: the same as the command `wavegrad`."""

from wavegrad.cli.main import main

if __name__ == "__main__":
    main()
