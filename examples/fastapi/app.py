"""An app behind Gatekeep that checks who is asking by itself, with the published keys.

    pip install -r requirements.txt
    PORT=8080 GATEKEEP_ISSUER=https://auth.example.com \
        GATEKEEP_AUDIENCE=https://app.example.com python app.py

The issuer is the gateway's `public_url`, the audience the app's own origin (or its route's
`token.audience`).
"""

import os
from typing import Annotated

import jwt
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import PlainTextResponse

ISSUER = os.environ["GATEKEEP_ISSUER"]
AUDIENCE = os.environ["GATEKEEP_AUDIENCE"]


# Keys are kept for five minutes; for a `kid` among none of them they are fetched again, once a minute
# at most.
keys = jwt.PyJWKClient(
    f"{ISSUER}/.well-known/jwks.json", lifespan=300, cooldown_duration=60, timeout=5
)


# Not `async`: it may wait for the keys, and so has a thread of its own.
def visitor(x_gatekeep_jwt: Annotated[str, Header()] = "") -> dict:
    """The claims of a token that is all it should be."""
    try:
        key = keys.get_signing_key_from_jwt(x_gatekeep_jwt)
        # The algorithm and the kind of token are ours to choose, never the token's (RFC 8725).
        token = jwt.decode_complete(
            x_gatekeep_jwt, key.key, algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        if token["header"].get("typ") != "gatekeep-identity+jwt":
            raise jwt.InvalidTokenError("the token is of another kind")
    except jwt.PyJWTError as error:
        print(f"refused: {error}", flush=True)
        raise HTTPException(401, "unauthorized") from None
    return token["payload"]


app = FastAPI(openapi_url=None)


# `sub` is the account and stays the same; a login can be renamed.
@app.get("/")
def hello(who: Annotated[dict, Depends(visitor)]) -> PlainTextResponse:
    return PlainTextResponse(f"Hello {who['login']}, you are {who['sub']}.\n")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))
