"""The names of keys and channels, and how names become members of sorted sets. Pure.

All keys that one script touches have the same hash tag, ``{…}``, so one server of a cluster holds them: they form a
*shard*. A single server has one shard. The keys of a shard, without its prefix, such as ``hubbub:{0.0}:``

==================  ==========  ====================================================================================
key                 type        content
==================  ==========  ====================================================================================
``names``           sorted set  the groups, all with score 0, so ordered by name, byte by byte
``sizes``           sorted set  the number of users of each group in ten digits, then its name; all with score 0
``g:<group>``       hash        ``e`` epoch, ``s`` seq, ``u`` distinct users, ``c`` connections; of ``h:``: ``b`` bytes,
                                ``k`` number of the last entry, ``o`` what ``s`` was at time ``t``, in seconds,
                                ``p`` bytes that were dropped and are paid for: see ``pay`` in ``keep.lua``
``h:<group>``       list        the last messages, and up to a sixteenth more. The last one has the number ``k``; if
                                that differs from ``s``, a node that keeps nothing has numbered messages since, and the
                                list cannot be used
``m:<group>``       sorted set  the members as `row`, all with score 0
``u:<user>``        hash        the user's connections: connection id -> node
``j:<user>``        hash        the inbox: ``e`` epoch, ``s`` seq; ``b``, ``k``, ``o``, ``p`` and ``t`` of ``i:``;
                                ``g`` digest of a guest's key
``i:<user>``        list        the last private messages; the last one has the number ``k``
``k:<key>``         string      the result of the post with this key: see `post_key`
``b:<user>``        string      bytes that are kept because of the user: see ``over_budget`` in ``keep.lua``
``bans``            sorted set  banned users, scored by when the ban ends, in milliseconds
``d:<user>``        string      the user was disconnected: no ticket is accepted until this key expires
``t:<ticket>``      string      the ticket was used
``a:<group>``       sorted set  members that were sent away and are expected back, as rows, all with score 0; without a
                                group: those whose users are expected to be online again, for the feed
``absences``        sorted set  the same of all groups, scored by when the absence ends, in milliseconds
``w``               hash        all connections: connection id -> node
``n:<incarnation>`` hash        what an incarnation has in this shard: ``m`` and row -> group, ``u`` and row -> "",
                                ``q`` and row -> "": it was sent off, so its leaving is not announced
``feed``            list        the feed, while somebody reads it: see ``feed.lua`` and ``feed_read.lua``
``feed:dropped``    string      its epoch, and how many entries were dropped from its beginning
``secret``          string      a secret that only the nodes know
``lives``           sorted set  the incarnations, scored by their last heartbeat, in milliseconds
``pulse``           string      when the last heartbeat of any node arrived, in milliseconds
``dead``            sorted set  incarnations that were declared dead, scored by when
``run``             string      the run id of the server that held this shard last
``run:epoch``       string      part of all epochs since then
``window``          string      how much the node keeps that registered last: see ``register.lua``
``schema``          string      version of what is stored, and the oldest one that can share it: `schema_version`
==================  ==========  ====================================================================================

An *incarnation* of a node lasts as long as one connection to the shard; its id is the id of the node, a dot and a
number. A command that was delayed on an earlier connection does no harm when it arrives late: scripts refuse
incarnations that are not in ``lives``.
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

INCARNATIONS = "lives"
"""The key, behind the prefix, of the incarnations of all nodes."""

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
    """Return the number of the shard that holds a group or a user."""
    return crc32(encode(name)) % shards if shards > 1 else 0


def slot_of(prefix: str) -> int:
    """Return the cluster slot that holds a shard: CRC-16/XMODEM of the tag (cluster specification)."""
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
