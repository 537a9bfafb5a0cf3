"""
The check of bearer tokens, by which only users that may list the pods can read them.

Rules of this file:

1. The API server decides. TokenReview gives the user of a token, and SubjectAccessReview tells
   whether this user may list pods. The server has no list of users.
2. An answer is kept for a short time, and by the hash of its token. So a right that is taken away is
   gone soon, and no token is kept.
3. Unknown tokens must not become a flood of reviews. So only a few are reviewed at a time.
4. Such a flood must not keep readers out. So a token that was granted before is always reviewed
   again, and refused tokens take no memory from granted ones.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from lifecycle_fleet.cluster.api import Api
from lifecycle_fleet.errors import FleetError

TOKENS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
ACCESS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
KEPT: Final = {200: 30.0, 401: 10.0, 403: 10.0}
"""Seconds for which an answer is kept, by its status."""
MOST: Final = 1000
"""Answers that are kept, of those that grant and of those that refuse."""
AT_ONCE: Final = 8
"""Tokens that are reviewed at a time, beyond those that were granted before."""
LONGEST: Final = 16_384
"""Characters of a token."""


class Answer(NamedTuple):
    """
    Whether a caller may read.

    Attributes:
        status: 200, 401, 403 or 503.
        text: Why not. Empty for 200.
    """

    status: int
    text: str = ""


Kept = OrderedDict[bytes, tuple[float, Answer]]
"""Until when an answer counts, and the answer, by the hash of its token."""

GRANTED: Final = Answer(200)
NO_TOKEN: Final = Answer(401, "Send a token: Authorization: Bearer TOKEN")
UNKNOWN: Final = Answer(401, "The API server does not know this token")
FORBIDDEN: Final = Answer(403, "This user may not list the pods")
BUSY: Final = Answer(503, "Too many tokens are being reviewed. Try again")
AWAY: Final = Answer(503, "The API server does not review the token. Try again")


class Access:
    """
    Checks tokens.

    Args:
        api: The API server.
        namespace: The namespace of the pods, or empty for all.
        clock: A monotonic clock, in seconds.
        on_problem: Called with the reason when reviews start to fail, and with "" when they work.

    Attributes:
        reviewed: How many tokens were reviewed, by status.
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        clock: Callable[[], float],
        on_problem: Callable[[str], object] = lambda _problem: None,
    ) -> None:
        self.reviewed: Counter[int] = Counter()
        self._api = api
        self._namespace = namespace
        self._clock = clock
        self._on_problem = on_problem
        self._problem = ""
        self._granted: Kept = OrderedDict()
        self._refused: Kept = OrderedDict()
        self._running: dict[bytes, asyncio.Task[Answer]] = {}

    async def check(self, authorization: str) -> Answer:
        """
        Return whether a caller may read.

        Args:
            authorization: The value of the header `Authorization`, or empty.
        """
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > LONGEST:
            return NO_TOKEN
        name = hashlib.sha256(token.encode()).digest()
        kept = self._granted.get(name) or self._refused.get(name)
        if kept is not None and self._clock() < kept[0]:
            return kept[1]
        task = self._running.get(name)
        if task is None:
            if len(self._running) >= AT_ONCE and name not in self._granted:
                return BUSY
            task = self._running[name] = asyncio.create_task(self._review(token))
            task.add_done_callback(lambda done: self._keep(name, done))
        return await asyncio.shield(task)  # others may wait for it too

    def _keep(self, name: bytes, done: asyncio.Task[Answer]) -> None:
        self._running.pop(name, None)
        if done.cancelled() or done.exception() is not None:
            return
        answer = done.result()
        self.reviewed[answer.status] += 1
        seconds = KEPT.get(answer.status)
        if seconds is None:  # it is not known, so what was known before stays
            return
        self._granted.pop(name, None)
        self._refused.pop(name, None)
        kept = self._granted if answer == GRANTED else self._refused
        kept[name] = self._clock() + seconds, answer
        while len(kept) > MOST:
            kept.popitem(last=False)

    async def _review(self, token: str) -> Answer:
        try:
            user = await self._user(token)
            allowed = user is not None and await self._allowed(user)
        except FleetError as error:
            self._say(str(error))
            return AWAY
        self._say("")
        if user is None:
            return UNKNOWN
        return GRANTED if allowed else FORBIDDEN

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._on_problem(problem)

    async def _user(self, token: str) -> dict[str, Any] | None:
        review = await self._api.create(TOKENS, _review("authentication", token=token))
        status = review.get("status") or {}
        return status.get("user") or {} if status.get("authenticated") is True else None

    async def _allowed(self, user: dict[str, Any]) -> bool:
        wanted = {"verb": "list", "resource": "pods", "namespace": self._namespace}
        who = {
            "user": user.get("username", ""),
            "uid": user.get("uid", ""),
            "groups": user.get("groups") or [],
            "extra": user.get("extra") or {},
        }
        asked = _review("authorization", resourceAttributes=wanted, **who)
        review = await self._api.create(ACCESS, asked)
        return (review.get("status") or {}).get("allowed") is True


def _review(group: str, **spec: Any) -> dict[str, Any]:
    kind = {"authentication": "TokenReview", "authorization": "SubjectAccessReview"}[group]
    return {"apiVersion": f"{group}.k8s.io/v1", "kind": kind, "spec": spec}
