"""`python -m tfpanoptic`: the command line."""

from tfpanoptic.cli import main

if __name__ == "__main__":
    main()
