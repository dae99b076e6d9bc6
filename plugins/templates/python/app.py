"""{{name}}: greets somebody when a pad is hit.

What the outside sees is the class `Plugin`, at the end of this file.
"""

import json
import traceback
from functools import wraps

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import log
from wit_world.imports.types import Context, Failure, Metadata


def failure(message: str, code: int = 1) -> Err:
    """What `start`, `bind` and `handle` raise: anything else ends the instance."""
    return Err(Failure(code, message))


class Greeter:
    """What lasts from call to call, until the plugin stops."""

    def __init__(self) -> None:
        self.greeted = 0

    def greet(self, params: dict, context: Context) -> str:
        name = params.get("name", "you")
        if not isinstance(name, str):
            raise failure(f"'name': expected a text, got {json.dumps(name)}", 2)
        self.greeted += 1
        # velocity is there when a pad was hit
        greeting = f"hello {name}{'!' if (context.velocity or 0) > 100 else ''}"
        log.write(log.Level.INFO, f"{greeting} (number {self.greeted})")
        return greeting


# each function of `Plugin` is called on an object of its own: what lasts stands here
greeter = Greeter()
ACTIONS = {"greet": greeter.greet}
# actions with their parameters, by number; each call gets the same ones, so do not change them
bound = {}


def guarded(function):
    """What the function raises becomes a failure."""

    @wraps(function)
    def guard(*arguments):
        try:
            return function(*arguments)
        except Err as error:
            if isinstance(error.value, Failure):
                raise
            # a host function said no: the value is one of `Refusal_…`
            raise failure(f"{type(error.value).__name__}: {error.value.value}", 3) from error
        except Exception as error:
            log.write(log.Level.ERROR, traceback.format_exc())
            raise failure(repr(error)) from error

    return guard


class Plugin(exports.Plugin):
    """What the outside sees."""

    def describe(self) -> Metadata:
        return Metadata("{{name}}", "0.1.0", "Greets somebody")

    def start(self, settings: str) -> None:
        """With the user's settings, as JSON."""

    @guarded
    def bind(self, binding: int, action: str, params: str) -> None:
        """Tells an action and its parameters, as JSON, with the number by which they are called."""
        if action not in ACTIONS:
            raise failure(f"there is no action '{action}'", 2)
        bound[binding] = (ACTIONS[action], json.loads(params))

    @guarded
    def handle(self, binding: int, context: Context) -> str | None:
        act, params = bound[binding]
        return act(params, context)

    def stop(self) -> None:
        pass
