"""``python -m hubbub.cli``, the same as ``hubbub``."""

from hubbub.cli import main

main()
