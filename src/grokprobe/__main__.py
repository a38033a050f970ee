"""``python -m grokprobe``."""

from grokprobe.cli import main

if __name__ == "__main__":
    main(prog_name="grokprobe")
