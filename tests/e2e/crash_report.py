"""What a run of `crash` came to."""

from __future__ import annotations

import statistics
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.e2e.rooms import Asked, Room, outcome
from tests.e2e.running_bot import RunningBot
from tests.servers.discord import DiscordServer
from tests.servers.telegram import TelegramServer

SHOWING = frozenset({"sendmessage", "sendmessagedraft", "editmessagetext", "sendmediagroup"})
RESUME_AIM = 2.0


@dataclass(slots=True)
class Report:
    """Counts of requests, and seconds.

    Attributes:
        kills: how often something was killed.
        asked: requests in all.
        answered: those whose final state is in the room.
        failed: those of them whose final state is an apology.
        unaccepted: those that no bot ever saw, because it was away when they were made.
        lost: the rest.
        duplicates: final messages beyond one for each request.
        orphans: messages that never became final.
        strays: messages that answer no request.
        seconds: that it all took.
        starts: from the start of each process until both platforms were connected.
        resumes: from `connected` to the first message shown, where turns were taken up.
        troubles: the requests that something is wrong with, in words.
    """

    kills: int = 0
    asked: int = 0
    answered: int = 0
    failed: int = 0
    unaccepted: int = 0
    lost: int = 0
    duplicates: int = 0
    orphans: int = 0
    strays: int = 0
    seconds: float = 0.0
    starts: list[float] = field(default_factory=list)
    resumes: list[float] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    @property
    def exactly_once(self) -> bool:
        """Every accepted request has one answer, and nothing else was left behind."""
        return not (self.lost or self.duplicates or self.orphans or self.strays)

    @property
    def resumed_in_time(self) -> bool:
        """19 of 20 resumed within the aim."""
        return not self.resumes or _p95(self.resumes) <= RESUME_AIM

    def __str__(self) -> str:
        """A few lines for people."""
        said = f"answered {self.answered}, {self.failed} of them with an apology"
        wrong = f"duplicates {self.duplicates}, orphans {self.orphans}, strays {self.strays}"
        resumes = f"{_spread(self.resumes)} (aim: p95 at most {RESUME_AIM:g} s)"
        lines = [
            f"{self.kills} kills, {self.asked} requests, {self.seconds:.0f} s",
            f"{said}; {self.unaccepted} made while nobody listened, and never seen",
            f"lost {self.lost}, {wrong} (aim: 0 each)",
            f"start to both connected: {_spread(self.starts)}",
            f"connected to first resumed message: {resumes}",
        ]
        return "\n".join([*lines, *self.troubles])


def evaluate(asked: Sequence[Asked], missed: Collection[int], rooms: Sequence[Room]) -> Report:
    """Look at everything in the rooms."""
    report = Report(asked=len(asked))
    for one in asked:
        found = outcome(one)
        report.answered += found.answered
        report.failed += found.failed
        report.duplicates += found.extra
        report.orphans += found.orphans
        if not found.answered:
            known = one.number in missed
            report.unaccepted += known
            report.lost += not known
        if found.extra or found.orphans or not (found.answered or one.number in missed):
            parts = [part for part in one.room.parts() if part.request == one.message_id]
            said = "; ".join(f"{part.kind} {part.text[:30]!r}" for part in parts) or "nothing"
            report.troubles.append(f"  request {one.number} in {one.room.key}: {said}")
    known_ids = {(one.room.key, one.message_id) for one in asked}
    for room in rooms:
        for part in room.parts():
            if (room.key, part.request) not in known_ids:
                report.strays += 1
                report.troubles.append(f"  stray in {room.key}: {part.text[:60]!r}")
    return report


def began(bot: RunningBot, platform: str) -> float | None:
    """Unix time at which a bot was first connected to a platform."""
    for line in bot.events:
        if line["event"] == "connected" and line.get("platform") == platform:
            return _moment(line["timestamp"])
    return None


def started(bot: RunningBot, born: float, platforms: Sequence[str]) -> float | None:
    """Seconds from the start of the process until all platforms were connected."""
    moments = [began(bot, platform) for platform in platforms]
    ready = [moment for moment in moments if moment is not None]
    return max(ready) - born if len(ready) == len(moments) else None


def resumed(bot: RunningBot, telegram: TelegramServer, discord: DiscordServer) -> Iterator[float]:
    """For each platform with turns to take up: seconds from connecting to the first message."""
    offset = time.time() - time.monotonic()
    shown = {
        "telegram": [call.at for call in telegram.calls if call.method.lower() in SHOWING],
        "discord": [
            call.at
            for call in discord.requests
            if call.method in ("POST", "PATCH") and "/messages" in call.path
        ],
    }
    for line in bot.events:
        platform = line.get("platform", "")
        if line["event"] != "turns resumed" or platform not in shown:
            continue
        connected = began(bot, platform)
        if connected is None:
            continue
        after = [at + offset - connected for at in shown[platform] if at + offset >= connected]
        if after:
            yield after[0]


def _moment(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


def _p95(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "never measured"
    median = statistics.median(values)
    return f"median {median:.2f} s, p95 {_p95(values):.2f} s, {len(values)} times"
