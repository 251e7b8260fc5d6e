"""The hub: cooks are told of all orders, customers of their own."""

from asgiref.sync import async_to_sync
from starlette.requests import HTTPConnection

from hubbub import Deny, Hub, User
from hubbub.contrib.django import session_user

hub = Hub()

# For synchronous views: under ASGI they run in threads of the event loop, and async_to_sync goes back to that loop.
post = async_to_sync(hub.post)
post_to_user = async_to_sync(hub.post_to_user)


@hub.on_connect
async def who(conn: HTTPConnection) -> User:
    user = await session_user(conn)
    if user is None:
        raise Deny("Log in first.")
    return User(user.id, name=user.username, groups=["kitchen"] if user.is_staff else [], post=[], private=False)
