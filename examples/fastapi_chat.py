"""A team chat in FastAPI: log in with a cookie, join the teams that you are in, keep every post in SQLite.

cd examples && hubbub serve --app fastapi_chat:app
"""

import asyncio
import secrets
import sqlite3
from typing import Annotated, Any, NamedTuple

from fastapi import Body, Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection

from hubbub import Deny, Hub, Member, Post, User


class Account(NamedTuple):
    name: str
    password: str  # yours are hashed, in a database
    teams: list[str]
    may_post: bool


ada = Account("ada", "lovelace", ["red", "blue"], may_post=True)
bob = Account("bob", "builder", ["red"], may_post=True)
cyd = Account("cyd", "charisse", ["red"], may_post=False)
ACCOUNTS = {account.name: account for account in (ada, bob, cyd)}


class ChatMessage(BaseModel):
    text: str = Field(min_length=1, max_length=2000)
    id: int | None = None  # of the row; the app sets it


# --- the database: these functions block, so they run with asyncio.to_thread ---
db = sqlite3.connect("chat.db", check_same_thread=False, isolation_level=None)
db.row_factory = sqlite3.Row
db.execute(
    "CREATE TABLE IF NOT EXISTS post (id INTEGER PRIMARY KEY, team, sender, text, key, UNIQUE(team, sender, key))"
)


def save(team: str, sender: str, message: ChatMessage, key: str | None = None) -> ChatMessage:
    once = "INSERT INTO post VALUES (NULL, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET key = key RETURNING id"
    [row] = db.execute(once, (team, sender, message.text, key)).fetchall()  # a post that is sent again has its key
    return ChatMessage(text=message.text, id=row["id"])


def latest(team: str) -> list[dict[str, Any]]:
    rows = db.execute("SELECT id, sender, text FROM post WHERE team = ? ORDER BY id DESC LIMIT 50", (team,)).fetchall()
    return [dict(row) for row in reversed(rows)]


# --- the hub: who connects, who joins, what is posted ---
hub = Hub()


@hub.on_connect
async def who(conn: HTTPConnection) -> User:
    account = ACCOUNTS.get(conn.session.get("user", ""))
    if account is None:
        raise Deny("Log in first.")
    return User(account.name, groups=["team-*"], data=account)


@hub.on_join("team-{team}")
async def may_join(member: Member, team: str) -> None:
    if team not in member.data.teams:
        raise Deny(f"You are not in the team {team}.")


@hub.on_post("team-{team}")
async def keep(post: Post[ChatMessage], team: str) -> ChatMessage:
    if not post.member.data.may_post:
        raise Deny("You may read here, but not write.")
    return await asyncio.to_thread(save, team, post.member.user_id, post.message, post.key)


app = FastAPI(lifespan=hub.lifespan)
app.mount("/realtime", hub)
app.add_middleware(SessionMiddleware, secret_key=secrets.token_hex())  # yours stays the same when the app restarts


@app.get("/")
async def page() -> FileResponse:
    return FileResponse("fastapi_chat.html")


@app.post("/login")
async def login(request: Request, name: Annotated[str, Body()], password: Annotated[str, Body()]) -> list[str]:
    account = ACCOUNTS.get(name)
    if account is None or not secrets.compare_digest(account.password.encode(), password.encode()):
        raise HTTPException(401, "Wrong name or password.")
    request.session["user"] = account.name
    return account.teams


async def member_of(team: str, request: Request) -> Account:
    account = ACCOUNTS.get(request.session.get("user", ""))
    if account is None or team not in account.teams:
        raise HTTPException(403, f"You are not in the team {team}." if account else "Log in first.")
    return account


@app.get("/teams/{team}/posts", dependencies=[Depends(member_of)])
async def history(team: str) -> list[dict[str, Any]]:
    return await asyncio.to_thread(latest, team)


@app.post("/teams/{team}/posts")
async def post(team: str, message: ChatMessage, account: Annotated[Account, Depends(member_of)]) -> ChatMessage:
    if not account.may_post:
        raise HTTPException(403, "You may read here, but not write.")
    saved = await asyncio.to_thread(save, team, account.name, message)
    await hub.post(f"team-{team}", saved, sender=account.name, key=saved.id)
    return saved
