"""Who is asking: an API key in the `Authorization` header, or a session that began with one.

A session is a signed, HttpOnly, SameSite=Strict cookie of limited life that names a credential; the node keeps
no session state, and a revoked credential ends its sessions at once. Pages that change something carry a CSRF
token bound to the session.
"""

from __future__ import annotations

import hmac
from typing import Protocol

from fastapi import Request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from api.problems import Unauthenticated
from fabric.store.credentials import Principal
from ledger.errors import Forbidden

COOKIE = "loomark_session"
CSRF_HEADER = "x-csrf-token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Credentials(Protocol):
    """Where credentials are looked up; only hashes are stored.

    Both calls answer None for what is unknown or revoked, and read the state of now: a revocation that has
    returned to its caller is seen by the next call.
    """

    def by_key(self, api_key: str) -> Principal | None:
        """The caller who holds `api_key`."""

    def by_id(self, credential: int) -> Principal | None:
        """The caller of a credential that was valid when its session began."""


class Sessions:
    """Makes and reads session cookies and CSRF tokens with one secret of the node."""

    def __init__(self, secret: bytes, life_s: int) -> None:
        self._cookies = URLSafeTimedSerializer(secret, salt="loomark/session/v1")
        self._csrf_key = secret
        self.life_s = life_s

    def cookie(self, caller: Principal) -> str:
        """The cookie value of a session that begins now."""
        return str(self._cookies.dumps(caller.credential))

    def credential(self, cookie: str) -> int | None:
        """The credential named by a cookie that this node signed and whose life is not over."""
        try:
            value = self._cookies.loads(cookie, max_age=self.life_s)
        except BadSignature:
            return None
        return value if isinstance(value, int) else None

    def csrf_token(self, cookie: str) -> str:
        """The token that a form of the session with this cookie carries."""
        return hmac.digest(self._csrf_key, b"loomark/csrf/v1\x00" + cookie.encode(), "sha256").hex()

    def check_csrf(self, cookie: str, token: str) -> None:
        """Return when `token` belongs to `cookie`; raise Forbidden otherwise."""
        if not hmac.compare_digest(self.csrf_token(cookie).encode(), token.encode("utf-8", "replace")):
            raise Forbidden("the form did not come from this session; load the page again", rule="csrf")


class Authenticator:
    """Answers who a request comes from."""

    def __init__(self, credentials: Credentials, sessions: Sessions) -> None:
        self._credentials = credentials
        self.sessions = sessions

    def log_in(self, api_key: str) -> Principal:
        """The caller of `api_key`; raises Unauthenticated when there is none."""
        caller = self._credentials.by_key(api_key.strip())
        if caller is None:
            raise Unauthenticated("the API key is not known to this node")
        return caller

    def caller(self, request: Request) -> Principal:
        """The authenticated caller of `request`; raises Unauthenticated.

        With a session alone a request that changes something needs its CSRF token in `X-CSRF-Token`, else Forbidden.
        """
        header = request.headers.get("authorization")
        if header is not None:
            scheme, _, api_key = header.partition(" ")
            if scheme.lower() != "bearer" or not api_key:
                raise Unauthenticated("expected the header 'Authorization: Bearer <API key>'")
            return self.log_in(api_key)
        caller = self.session_caller(request)
        if caller is None:
            raise Unauthenticated("expected the header 'Authorization: Bearer <API key>', or a session")
        if request.method not in _SAFE:
            # A browser sends the cookie along with what another site makes it send.
            self.sessions.check_csrf(request.cookies[COOKIE], request.headers.get(CSRF_HEADER, ""))
        return caller

    def session_caller(self, request: Request) -> Principal | None:
        """The caller of the request's session cookie, if it has a valid one."""
        cookie = request.cookies.get(COOKIE)
        credential = self.sessions.credential(cookie) if cookie else None
        return self._credentials.by_id(credential) if credential is not None else None
