"""The load run of ``hubbub bench``."""
