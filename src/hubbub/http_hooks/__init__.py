"""Hooks over HTTP: a standalone server asks an app, in whichever language, who may connect, join and post."""
