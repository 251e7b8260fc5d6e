"""``python -m hubbub``, the same as ``hubbub``."""

from hubbub.cli import main

main()
