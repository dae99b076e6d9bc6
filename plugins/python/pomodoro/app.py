"""Pomodoro: a pad starts and pauses spells of work, with breaks between them.

The phase is told by a notification and by the event `phase` (`work`, `break`,
`long break`, `paused`, `idle`), so that mappings can light a pad or change the mode.
"""

import json
import time
import traceback
from dataclasses import dataclass

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import effects, events, log, timers
from wit_world.imports.types import Context, Failure, Metadata

# the one timer: the end of the phase
END = 1
# what a timer takes at most, in milliseconds
LONGEST_MS = 86_400_000


@dataclass
class Settings:
    """Lengths in minutes."""

    work: float = 25.0
    pause: float = 5.0
    long_pause: float = 15.0
    # every so many spells of work the break is a long one
    rounds: int = 4

    @classmethod
    def parse(cls, text: str) -> "Settings":
        """From the user's settings.

        Raises `Err` naming the first one that makes no sense.
        """
        given = json.loads(text)
        found = cls()
        for key, name in (("work_minutes", "work"), ("break_minutes", "pause"), ("long_break_minutes", "long_pause")):
            minutes = given.get(key, getattr(found, name))
            if not 0.001 <= minutes <= LONGEST_MS / 60_000:
                raise failure(f"{key}: expected 0.001 to 1440 minutes, got {minutes}")
            setattr(found, name, float(minutes))
        found.rounds = given.get("rounds", found.rounds)
        if not 1 <= found.rounds <= 100:
            raise failure(f"rounds: expected 1 to 100, got {found.rounds}")
        return found


def failure(message: str, code: int = 1) -> Err:
    """What `start`, `bind` and `handle` raise: anything else ends the instance."""
    return Err(Failure(code, message))


class Pomodoro:
    """The one clock."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.phase = "idle"
        # when the phase ends, in seconds of the monotonic clock; what is left of it when paused
        self.ends = 0.0
        self.left: float | None = None
        self.done = 0

    def toggle(self) -> str:
        if self.phase == "idle":
            return self.enter("work", self.settings.work)
        if self.left is None:
            timers.cancel(END)
            self.left = max(self.ends - time.monotonic(), 0.0)
            self.tell("paused")
            return self.status()
        minutes, self.left = self.left / 60, None
        return self.enter(self.phase, minutes)

    def over(self) -> str:
        """What the timer calls."""
        # one that was due when the pad was pressed comes after it
        if self.phase == "idle" or self.left is not None or self.ends - time.monotonic() > 0.5:
            return self.status()
        return self.next_phase()

    def next_phase(self) -> str:
        """The phase after this one; what is paused goes on with it."""
        if self.phase != "work":
            return self.enter("work", self.settings.work)
        self.done += 1
        if self.done % self.settings.rounds == 0:
            return self.enter("long break", self.settings.long_pause)
        return self.enter("break", self.settings.pause)

    def end(self) -> str:
        timers.cancel(END)
        self.phase, self.left, self.done = "idle", None, 0
        self.tell("idle")
        return self.status()

    def enter(self, phase: str, minutes: float) -> str:
        milliseconds = min(max(round(minutes * 60_000), 10), LONGEST_MS)
        timers.after(END, milliseconds, "phase_over", "{}")
        self.phase, self.left = phase, None
        self.ends = time.monotonic() + milliseconds / 1000
        self.tell(phase)
        return self.status()

    def tell(self, phase: str) -> None:
        events.emit("phase", phase)
        try:
            effects.notify(phase.capitalize(), self.status())
        except Err:
            # too many at once: whoever skips that fast looks at the pad
            log.write(log.Level.INFO, f"{phase}, without a notification")

    def status(self) -> str:
        if self.phase == "idle":
            return "idle"
        seconds = round(self.ends - time.monotonic() if self.left is None else self.left)
        paused = "" if self.left is None else ", paused"
        return f"{self.phase}{paused}: {max(seconds, 0) // 60}:{max(seconds, 0) % 60:02} left, {self.done} done"


# each function of `Plugin` is called on an object of its own: what lasts stands here
pomodoro = Pomodoro()
ACTIONS = {
    "toggle": pomodoro.toggle,
    "skip": pomodoro.next_phase,
    "stop": pomodoro.end,
    "status": pomodoro.status,
    "phase_over": pomodoro.over,
}
# what each number was bound to; none of the actions has parameters
bound = {}


class Plugin(exports.Plugin):
    """What the outside sees."""

    def describe(self) -> Metadata:
        return Metadata("Pomodoro", "0.1.0", "Spells of work with breaks between them")

    def start(self, settings: str) -> None:
        pomodoro.settings = Settings.parse(settings)

    def bind(self, binding: int, action: str, params: str) -> None:
        if action not in ACTIONS:
            raise failure(f"there is no action '{action}'", 2)
        bound[binding] = ACTIONS[action]

    def handle(self, binding: int, context: Context) -> str | None:
        try:
            return bound[binding]()
        except Err as error:
            if isinstance(error.value, Failure):
                raise
            # a host function said no: the value is one of `Refusal_…`
            raise failure(f"{type(error.value).__name__}: {error.value.value}", 3) from error
        except Exception as error:
            log.write(log.Level.ERROR, traceback.format_exc())
            raise failure(repr(error)) from error

    def stop(self) -> None:
        pass
