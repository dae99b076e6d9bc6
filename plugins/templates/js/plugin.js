// {{name}}: greets somebody when a pad is hit.
//
// What the outside sees is `plugin`, at the end of this file. Only `{ code, message }` may be
// thrown to it: any other error, such as a mistake's, would end the instance and all it remembers.
// There is no `console`; `write` writes to the plugin's log.

import { write } from "midimon:plugin/log@1.0.0";

/** How often somebody was greeted. It lasts from call to call, until the plugin stops. */
let greeted = 0;

function fail(message, code = 1) {
  throw { code, message };
}

const actions = {
  greet({ name = "you" }, context) {
    if (typeof name !== "string") fail(`'name': expected a text, got ${JSON.stringify(name)}`, 2);
    greeted += 1;
    // velocity is there when a pad was hit
    const greeting = `hello ${name}${context.velocity > 100 ? "!" : ""}`;
    write("info", `${greeting} (number ${greeted})`);
    return greeting;
  },
};

/** Actions with their parameters, by number. Each call gets the same ones: do not change them. */
const bound = new Map();

/** Runs `act`; what it throws becomes `{ code, message }`. */
function guarded(act) {
  try {
    return act();
  } catch (error) {
    // our own
    if (error?.code !== undefined) throw error;
    // a host function said no: `payload` is the variant `refusal`
    if (error?.payload?.tag !== undefined) throw { code: 3, message: `${error.payload.tag}: ${error.payload.val}` };
    write("error", `${error}\n${error?.stack ?? ""}`);
    throw { code: 1, message: String(error) };
  }
}

export const plugin = {
  describe() {
    return { name: "{{name}}", version: "0.1.0", description: "Greets somebody" };
  },

  // with the user's settings, as JSON
  start(settings) {},

  // tells an action and its parameters, as JSON, with the number by which they are called
  bind(binding, action, params) {
    guarded(() => {
      if (!Object.hasOwn(actions, action)) fail(`there is no action '${action}'`, 2);
      bound.set(binding, { act: actions[action], params: JSON.parse(params) });
    });
  },

  handle(binding, context) {
    return guarded(() => {
      const { act, params } = bound.get(binding);
      return act(params, context);
    });
  },

  stop() {},
};
