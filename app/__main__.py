"""`python -m app`: the same as the command `edges-collector`."""

from app.cli import main

if __name__ == "__main__":
    main()
