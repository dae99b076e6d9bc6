// Snippets: a pad types a text. What stands in braces is filled in: {date}, {time}, {name} …
//
// What the outside sees is `plugin` at the end of this file. Only `{ code, message }` may be thrown
// to it: any other error, a bug's for example, would end the instance and with it what it counts.

import { typeText } from "midimon:plugin/effects@1.0.0";
import { write } from "midimon:plugin/log@1.0.0";
import { device, mode } from "midimon:plugin/names@1.0.0";

/** Bytes that midimon types at once. */
const MAX_BYTES = 1024;

const settings = { name: "", utcOffset: 0 };
/** How often each snippet was typed since the plugin started. */
const counts = new Map();

function fail(message, code = 1) {
  throw { code, message };
}

/** The local time: WASI has no time zones, so the user says how far from UTC they are. */
function localTime(timestampMs) {
  return new Date(timestampMs + settings.utcOffset * 3_600_000).toISOString();
}

/** What can stand in braces, each made from the call. */
const PLACEHOLDERS = {
  date: (call) => localTime(call.context.timestampMs).slice(0, 10),
  time: (call) => localTime(call.context.timestampMs).slice(11, 16),
  name: () => settings.name || fail("{name} needs a name: midimon plugin config set snippets name …"),
  count: (call) => String(call.count),
  velocity: (call) => String(call.context.velocity ?? 0),
  mode: (call) => (call.context.mode === undefined ? "" : mode(call.context.mode)) ?? "",
  device: (call) => (call.context.device === undefined ? "" : device(call.context.device)) ?? "",
};

/** Fills in what stands in braces; `{{` is a brace. */
function fill(text, call) {
  return text.replace(/\{\{|\{([^{}]*)\}/g, (whole, placeholder) => {
    if (placeholder === undefined) return "{";
    if (!Object.hasOwn(PLACEHOLDERS, placeholder)) {
      fail(`there is no ${whole}; there are {${Object.keys(PLACEHOLDERS).join("}, {")}}, and {{ for a brace`, 2);
    }
    return PLACEHOLDERS[placeholder](call);
  });
}

/** Bytes of a text in UTF-8; QuickJS has no TextEncoder. */
function byteLength(text) {
  let bytes = 0;
  for (const character of text) {
    const point = character.codePointAt(0);
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}

const actions = {
  type({ text }, context) {
    if (typeof text !== "string" || text === "") fail("'text': expected the text to type", 2);
    const count = (counts.get(text) ?? 0) + 1;
    const typed = fill(text, { context, count });
    const bytes = byteLength(typed);
    if (bytes > MAX_BYTES) fail(`the text has ${bytes} bytes, at most ${MAX_BYTES} can be typed`, 2);
    typeText(typed);
    counts.set(text, count);
    return `${typed.length} characters`;
  },

  reset() {
    counts.clear();
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
    return { name: "Snippets", version: "0.1.0", description: "Types texts with the date, the time or a count in them" };
  },

  start(text) {
    guarded(() => {
      const { name = "", utc_offset: utcOffset = 0 } = JSON.parse(text);
      if (Math.abs(utcOffset) > 14) fail(`utc_offset: expected -14 to 14 hours, got ${utcOffset}`, 2);
      Object.assign(settings, { name, utcOffset });
    });
  },

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
