"""Hubbub and other people's servers and frameworks. Each module needs the package that it is named after."""
