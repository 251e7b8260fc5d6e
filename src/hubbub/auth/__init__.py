"""Who connects and what they may do: tokens and guest names to identities.

Programs use `make_token`; everything else is the server's own.
"""

from hubbub.auth.authenticator import make_token as make_token
