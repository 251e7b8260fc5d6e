"""The names of keys and channels, and how names become members of ordered sets. Pure.

Everything that one script touches has the same hash tag, ``{…}``, and so lies on one node of a cluster: a *shard*. On
a single server there is one shard. In each shard, behind its prefix, such as ``hubbub:{0.0}:``

==================  ==========  ====================================================================================
key                 type        what
==================  ==========  ====================================================================================
``names``           sorted set  the groups, all with score 0, so ordered by name, byte by byte
``sizes``           sorted set  the same as ten digits of the number of users, then the name; all with score 0
``g:<group>``       hash        ``e`` epoch, ``s`` seq, ``u`` distinct users, ``c`` connections; of ``h:``: ``b`` bytes,
                                ``k`` number of the last entry, ``o`` what ``s`` was at time ``t``, milliseconds
``h:<group>``       list        the last messages; the last one has the number ``k``: if that is not ``s``, a node that
                                keeps nothing gave numbers since, and the list is of no use
``m:<group>``       sorted set  the members as `row`, all with score 0
``u:<user>``        hash        the user's connections: connection id -> node
``j:<user>``        hash        the inbox: ``e`` epoch, ``s`` seq; ``b``, ``k``, ``o`` and ``t`` of ``i:``, as above
``i:<user>``        list        the last private messages; the last one has the number ``k``
``k:<key>``         string      the result of the post with this key: see `post_key`
``b:<user>``        string      bytes that are kept because of the user, see ``over_budget`` in ``common.lua``
``bans``            sorted set  the users who are kept out, by when that is over, milliseconds
``d:<user>``        string      the user was disconnected: no ticket is taken until this has ended
``t:<ticket>``      string      the ticket was used
``a:<group>``       sorted set  who was sent away from the group and is expected back, as rows, all with score 0
``absences``        sorted set  the same of all groups, by when that is over, milliseconds
``w``               hash        all connections: connection id -> node
``n:<incarnation>``        hash        what a incarnation of a node has put here: ``m`` and row -> group, ``u`` and row -> "",
                                ``q`` and row -> "": it was sent off, and goes without a notice
``secret``          string      what all nodes know and nobody else
``lives``           sorted set  the lives of nodes, by when each was last heard of, milliseconds
``pulse``           string      when any node was last heard of, milliseconds
``dead``            sorted set  lives that were declared dead, by when
``run``             string      the run id of the server that was here last
``run:epoch``       string      what has been part of all epochs since then
``window``          string      how much the node keeps that came last: see ``register.lua``
==================  ==========  ====================================================================================

A *incarnation* of a node is one connection to the store: its id is the node's, a dot and a number. What an earlier incarnation left
unfinished in the network can do no harm when it arrives late: scripts refuse lives that are not in ``lives``.
"""

from __future__ import annotations

from binascii import crc_hqx
from functools import cache
from hashlib import blake2b
from itertools import count
from zlib import crc32

from hubbub.messages import UserRow

SLOTS = 16384
"""Parts into which a cluster divides all keys."""

_SIZE_DIGITS = 10
_MOST_USERS = 10**_SIZE_DIGITS - 1
_END = b"\0\0"


def encode(text: str) -> bytes:
    """Return UTF-8, whose order byte by byte is the order of the code points."""
    return text.encode("utf-8", "surrogatepass")


def decode(data: bytes) -> str:
    """Return the text that was encoded."""
    return data.decode("utf-8", "surrogatepass")


def user_part(user_id: str) -> bytes:
    """Return how every row of the user begins; ordered as the ids are, even if they hold NULs."""
    return encode(user_id).replace(b"\0", b"\0\xff") + _END


def past_user(user_id: str) -> bytes:
    """Return the first string above all rows of the user."""
    return user_part(user_id)[:-1] + b"\1"


def row(user: UserRow) -> bytes:
    """Return the member that stands for a connection; ordered by user, then by connection."""
    return user_part(user.user_id) + encode(user.connection_id)


def parse_row(data: bytes) -> UserRow:
    """Return the connection that a member stands for."""
    user, _, connection = data.partition(_END)
    return UserRow(decode(user.replace(b"\0\xff", b"\0")), decode(connection))


def size_key(users: int, group: str) -> bytes:
    """Return the member of ``sizes``; numbers that no group can have become the nearest ones."""
    if users < 0:
        return b""
    return b"%0*d%b" % (_SIZE_DIGITS, users, encode(group)) if users <= _MOST_USERS else b":"


@cache
def shard_prefix(database: int, number: int = 0, shards: int = 1) -> str:
    """Return the prefix of a shard: ``hubbub:{0.0}:`` if there is only one.

    Otherwise its number is followed by the first one that puts its slot into the shard's own part of all slots, so
    that any number of primaries with equal shares of the slots have equal shares of the shards.

    The number of the database is part of it, because channels are the same in all databases.
    """
    if shards == 1:
        return f"hubbub:{{{database}.{number}}}:"
    prefixes = (f"hubbub:{{{database}.{number}.{n}}}:" for n in count())
    return next(prefix for prefix in prefixes if slot_of(prefix) * shards // SLOTS == number)


def shard_of(name: str, shards: int) -> int:
    """Return the number of the shard in which a group or a user lies."""
    return crc32(encode(name)) % shards if shards > 1 else 0


def slot_of(prefix: str) -> int:
    """Return the slot of a cluster in which a shard lies: CRC-16/XMODEM of the tag (cluster specification)."""
    tag = prefix[prefix.index("{") + 1 : prefix.index("}")]
    return crc_hqx(encode(tag), 0) % SLOTS


def group_channel(prefix: str, group: str) -> bytes:
    """Return the channel of a group's messages and notices."""
    return encode(f"{prefix}c:{group}")


def post_key(sender: str, recipient: str, key: str) -> bytes:
    """Return 16 bytes under which a post is remembered: others may use the same key for something else.

    A digest (BLAKE2b), because names and key can have more than a kilobyte, which would be kept for each post.
    """
    return blake2b(b"\0\xff".join(map(encode, (sender, recipient, key))), digest_size=16).digest()


def node_channel(prefix: str, node: str) -> bytes:
    """Return the channel of what is for one node: private messages, signals, orders to disconnect."""
    return encode(f"{prefix}o:{node}")


def parse_channel(channel: bytes) -> tuple[bytes, bytes]:
    """Return ``c`` or ``o`` and the group or the node of a channel."""
    _, _, rest = channel.partition(b"}:")
    return rest[:1], rest[2:]
