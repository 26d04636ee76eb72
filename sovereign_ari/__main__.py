"""`python -m sovereign_ari`, the same as the `sovereign` command."""

from sovereign_ari.cli.main import main

if __name__ == "__main__":
    main()
