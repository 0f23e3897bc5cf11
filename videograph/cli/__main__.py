"""`python -m videograph.cli`."""

from videograph.cli import main

if __name__ == "__main__":
    main()
