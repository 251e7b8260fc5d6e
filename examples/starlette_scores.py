"""Live scores in Starlette: everybody reads, referees post over HTTP, and nothing but the app posts.

cd examples && uvicorn starlette_scores:app --ws hubbub.contrib.uvicorn:WebSockets
"""

import hmac
import secrets

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from hubbub import Deny, Hub, Member, User

REFEREES = {"rita": "whistle"}  # yours are in a database, and hashed
MATCHES = {"17": {"home": 0, "away": 0}}

hub = Hub()


@hub.on_connect
async def who(conn: HTTPConnection) -> User:
    """Let everybody in under a name of the app's choice; nobody may post, to a group or to a user."""
    return User(f"visitor-{secrets.token_hex(8)}", groups=["match-*"], post=[], private=False)


@hub.on_join("match-{number}")
async def may_join(member: Member, number: str) -> None:
    if number not in MATCHES:
        raise Deny(f"There is no match {number}.")


async def goal(request: Request) -> JSONResponse:
    """Count a goal, and tell everybody who follows the match."""
    name, _, password = request.headers.get("authorization", "").removeprefix("Referee ").partition(":")
    if not hmac.compare_digest(REFEREES.get(name, secrets.token_hex()).encode(), password.encode()):
        raise HTTPException(401, "Only referees count goals.")
    score = MATCHES.get(request.path_params["number"])
    team = request.path_params["team"]
    if score is None or team not in score:
        raise HTTPException(404, "There is no such match or team.")
    score[team] += 1
    sent = await hub.post(f"match-{request.path_params['number']}", score)
    return JSONResponse({"score": score, "recipients": sent.recipients})


async def score(request: Request) -> JSONResponse:
    """Return the score of a match, for a page that has just been opened."""
    found = MATCHES.get(request.path_params["number"])
    return JSONResponse(found, status_code=200 if found else 404)


app = Starlette(
    lifespan=hub.lifespan,
    routes=[
        Route("/matches/{number}", score),
        Route("/matches/{number}/goals/{team}", goal, methods=["POST"]),
        Mount("/realtime", hub),
    ],
)
