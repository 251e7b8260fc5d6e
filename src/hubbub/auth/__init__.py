"""Authentication and rights: who connects, and what they may do.

The public name is `make_token`; everything else is for the server.
"""

from hubbub.auth.authenticator import make_token as make_token
