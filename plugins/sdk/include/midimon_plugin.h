/*
 * midimon: the C interface of a native plugin, version 1.
 *
 * A plugin is a shared library that exports one symbol, `midimon_plugin_v1`:
 *
 *     static int32_t handle(void *state, const midimon_call *call) {
 *         (void)state;
 *         host->answer(host, call->action);
 *         return MIDIMON_OK;
 *     }
 *
 *     MIDIMON_EXPORT const midimon_plugin *midimon_plugin_v1(void) {
 *         static const midimon_plugin plugin = {
 *             MIDIMON_ABI_VERSION, sizeof(midimon_plugin), describe, init, handle, shutdown,
 *         };
 *         return &plugin;
 *     }
 *
 * Build it with any C compiler: `cc -std=c99 -shared -fPIC -I include -o my.so my.c`.
 *
 * Rules
 * -----
 * - Threads. midimon calls describe, init, handle and shutdown on one thread, one
 *   at a time, in the order: describe, init, handle any number of times, shutdown.
 *   A plugin may have threads of its own.
 * - Strings are UTF-8, with a length and without a terminating NUL. A string from
 *   midimon is valid until the function that got it returns; copy what you keep.
 *   A string given to midimon must stay valid until the called function returns;
 *   midimon copies what it keeps. `data` may be NULL when `len` is 0.
 * - Growth. Every struct carries its size. A later midimon may append fields, and
 *   may call a plugin that was built for fewer: look at `struct_size` before
 *   reading a field that this header's version does not have. Fields are never
 *   moved, changed or taken away while the symbol is `midimon_plugin_v1`.
 * - Each plugin runs alone in a sandboxed process. A crash, or a call past its
 *   deadline, ends that process only, and the plugin is loaded again.
 */
#ifndef MIDIMON_PLUGIN_H
#define MIDIMON_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What `midimon_plugin.abi_version` must be. */
#define MIDIMON_ABI_VERSION 1u

/** Returned by init and handle when all went well. Every other value is an error of the plugin's own. */
#define MIDIMON_OK 0

/**
 * What the functions of midimon_host return when they did not do what was asked.
 * `refusal` says why in words. Later versions may add values: treat unknown
 * negative ones as MIDIMON_E_FAILED.
 */
enum {
    MIDIMON_E_NOT_GRANTED = -101, /**< the user has not granted it */
    MIDIMON_E_INVALID = -102,     /**< the request makes no sense or is over a size limit */
    MIDIMON_E_TOO_MANY = -103,    /**< too many, too fast: ask again later */
    MIDIMON_E_TIMED_OUT = -104,   /**< it took longer than it may */
    MIDIMON_E_FAILED = -105       /**< it was tried and did not work */
};

/** Put in front of `midimon_plugin_v1` so that it is exported with -fvisibility=hidden too. */
#if defined(__GNUC__) || defined(__clang__)
#define MIDIMON_EXPORT __attribute__((visibility("default")))
#else
#define MIDIMON_EXPORT
#endif

/** UTF-8 text: `len` bytes at `data`, no terminating NUL. */
typedef struct midimon_str {
    const char *data;
    size_t len;
} midimon_str;

/** Initialises a midimon_str from a string literal: `static const midimon_str name = MIDIMON_STR("echo");` */
#define MIDIMON_STR(literal) {(literal), sizeof(literal) - 1}

/** Bytes that midimon reads. `data` may be NULL when `len` is 0. */
typedef struct midimon_bytes {
    const uint8_t *data;
    size_t len;
} midimon_bytes;

/**
 * Room for bytes that midimon writes: at most `capacity` at `data`. `len` is set to
 * how many there were; more than `capacity` means the rest was cut off.
 */
typedef struct midimon_buffer {
    uint8_t *data;
    size_t capacity;
    size_t len;
} midimon_buffer;

/** What came of a program. Set the first field and both buffers' `data` and `capacity` before `run`. */
typedef struct midimon_output {
    /** sizeof(midimon_output) as the plugin was built. */
    uint32_t struct_size;
    /** Its exit code; 128 + the signal that ended it. */
    int32_t exit_code;
    /** What it wrote (24 KiB at most are kept). */
    midimon_buffer out;
    /** What it complained about (24 KiB at most are kept). */
    midimon_buffer err;
} midimon_output;

/** How full the data directory is. Set the first field before `usage`. */
typedef struct midimon_usage {
    /** sizeof(midimon_usage) as the plugin was built. */
    uint32_t struct_size;
    uint32_t reserved;
    /** Bytes in use. */
    uint64_t used_bytes;
    /** Most bytes. */
    uint64_t max_bytes;
    /** Files and directories in use. */
    uint64_t used_files;
    /** Most files and directories. */
    uint64_t max_files;
} midimon_usage;

/** A light of a controller, named by the message that sets it: `set_light`. */
enum {
    MIDIMON_LIGHT_NOTE = 1,   /**< a note */
    MIDIMON_LIGHT_CONTROL = 2 /**< a controller */
};

/** What `mouse` does. */
enum {
    MIDIMON_MOUSE_MOVE = 1,   /**< x pixels to the right, y down; -32768 to 32767 */
    MIDIMON_MOUSE_SCROLL = 2, /**< x notches to the right, y up; -128 to 127 */
    MIDIMON_MOUSE_LEFT = 3,   /**< press and release the left button; x and y are 0 */
    MIDIMON_MOUSE_MIDDLE = 4, /**< the middle one */
    MIDIMON_MOUSE_RIGHT = 5   /**< the right one */
};

/** What `system_control` does. */
enum {
    MIDIMON_SYSTEM_VOLUME_UP = 1,
    MIDIMON_SYSTEM_VOLUME_DOWN = 2,
    MIDIMON_SYSTEM_MUTE = 3,
    MIDIMON_SYSTEM_PLAY_PAUSE = 4,
    MIDIMON_SYSTEM_STOP = 5,
    MIDIMON_SYSTEM_NEXT = 6,
    MIDIMON_SYSTEM_PREVIOUS = 7,
    MIDIMON_SYSTEM_BRIGHTNESS_UP = 8,
    MIDIMON_SYSTEM_BRIGHTNESS_DOWN = 9
};

/** Whether this midimon has a function of midimon_host: `if (MIDIMON_HAS(host, connect)) …` */
#define MIDIMON_HAS(host, function) \
    ((host)->struct_size >= offsetof(midimon_host, function) + sizeof((host)->function))

/** How much a log line matters. */
enum {
    MIDIMON_LOG_ERROR = 1,
    MIDIMON_LOG_WARN = 2,
    MIDIMON_LOG_INFO = 3,
    MIDIMON_LOG_DEBUG = 4
};

/** What fired a call: `midimon_context.trigger`. Later versions may add values. */
enum {
    MIDIMON_TRIGGER_MANUAL = 0,           /**< by hand or by a program, not by MIDI */
    MIDIMON_TRIGGER_NOTE_PRESS = 1,       /**< a note or pad was pressed */
    MIDIMON_TRIGGER_NOTE_RELEASE = 2,     /**< a note or pad was released */
    MIDIMON_TRIGGER_CONTROL_CHANGE = 3,   /**< a controller moved */
    MIDIMON_TRIGGER_PITCH_BEND = 4,       /**< the pitch wheel moved */
    MIDIMON_TRIGGER_CHANNEL_PRESSURE = 5, /**< pressure on the whole channel */
    MIDIMON_TRIGGER_POLY_PRESSURE = 6,    /**< pressure on one note */
    MIDIMON_TRIGGER_PROGRAM_CHANGE = 7,   /**< a program was chosen */
    MIDIMON_TRIGGER_TIMER = 8,            /**< a timer of the plugin's own */
    MIDIMON_TRIGGER_PLUGIN_EVENT = 9      /**< an event that a plugin emitted */
};

/**
 * What midimon does for a plugin. Given to init; stays valid and unchanged until
 * shutdown returns. Pass the table itself as the first argument of each function.
 */
typedef struct midimon_host midimon_host;
struct midimon_host {
    /** sizeof(midimon_host) as midimon was built. */
    uint32_t struct_size;
    /** MIDIMON_ABI_VERSION as midimon was built. */
    uint32_t abi_version;

    /**
     * Writes to the plugin's log (`midimon logs ID`). `level` is a MIDIMON_LOG_*.
     * At most 4096 bytes are kept; each line becomes one log line. From any thread.
     */
    void (*log)(const midimon_host *host, int32_t level, midimon_str message);

    /**
     * The plugin's own directory, an absolute path; empty unless the plugin was
     * granted `filesystem`. The text is valid until shutdown returns. From any thread.
     */
    midimon_str (*data_dir)(const midimon_host *host);

    /**
     * Sets the current call's answer, a text for people (at most 4096 bytes; a
     * second answer replaces the first). It counts when handle returns MIDIMON_OK.
     * Only within handle, on its thread; anywhere else it does nothing.
     */
    void (*answer)(const midimon_host *host, midimon_str text);

    /**
     * Says why init or handle is about to return an error (at most 4096 bytes; the
     * last one counts). Only within those two, on their thread; anywhere else it
     * does nothing.
     */
    void (*fail)(const midimon_host *host, midimon_str message);

    /*
     * What follows asks the supervisor for something outside the sandbox. Each needs
     * its grant (unless it says that it needs none), is checked when it is asked for, and is written to the plugin's
     * audit log. From any thread; requests of several threads take turns, one at a
     * time. They return MIDIMON_OK or a MIDIMON_E_*. A request counts as part of the
     * call it is made in: the call's deadline (5 s by default) goes on.
     *
     * Earlier versions of midimon end their table here: a plugin that is to run on
     * those too asks MIDIMON_HAS first.
     */

    /**
     * Why this thread's last request was refused; empty when it was not. The text is
     * valid until the thread's next request.
     */
    midimon_str (*refusal)(const midimon_host *host);

    /**
     * Connects by TCP. `target` is `host:port` as granted (`network:HOST:PORT`); only
     * public addresses unless the grant names the address itself, or `localhost`.
     * `timeout_ms` is at most 30000, 0 means that. On success `*socket` is a connected,
     * blocking descriptor that the plugin owns: read, write, shutdown and close it.
     */
    int32_t (*connect)(const midimon_host *host, midimon_str target, uint32_t timeout_ms, int32_t *socket);

    /**
     * Sends a datagram of at most 8192 bytes to `host:port` as granted
     * (`network:udp:HOST:PORT`). A plugin can use four such targets.
     */
    int32_t (*datagram_send)(const midimon_host *host, midimon_str target, midimon_bytes payload);

    /**
     * Waits for a datagram from `host:port` as granted (`network:udp:HOST:PORT`), at
     * most `timeout_ms` (30000 at most; 0 does not wait): MIDIMON_E_TIMED_OUT when
     * none came.
     */
    int32_t (*datagram_receive)(const midimon_host *host, midimon_str target, uint32_t timeout_ms,
                                midimon_buffer *payload);

    /**
     * Sends one MIDI message to an output as granted (`midi:PORT`): a channel message
     * or one whole SysEx of at most 1024 bytes. Returns when it is queued. Notes left
     * on are switched off when the plugin's process ends.
     */
    int32_t (*midi_send)(const midimon_host *host, midimon_str port, midimon_bytes message);

    /**
     * Runs a program as granted (`subprocess:PROGRAM`), without a shell or input, and
     * waits for its end, at most `timeout_ms` (30000 at most, 0 means that); then it is
     * killed with all it started. Of the user's environment it gets the variables of home,
     * language and session (`HOME`, `LANG`, `DISPLAY` ...), and nothing else. At most 64
     * arguments of 16384 bytes together; the program's name is not one of them. `output`
     * may be NULL.
     */
    int32_t (*run)(const midimon_host *host, midimon_str program, const midimon_str *arguments,
                   size_t argument_count, uint32_t timeout_ms, midimon_output *output);

    /**
     * Presses and releases keys, as in a mapping: `ctrl+shift+p`. Grant `input`. This
     * and the next three return when it is queued.
     */
    int32_t (*keystroke)(const midimon_host *host, midimon_str keys);

    /** Types a text of at most 1024 bytes. Grant `input`. */
    int32_t (*type_text)(const midimon_host *host, midimon_str text);

    /** Uses the mouse; `what` is a MIDIMON_MOUSE_*. Grant `input`. */
    int32_t (*mouse)(const midimon_host *host, int32_t what, int32_t x, int32_t y);

    /** Volume, media, brightness; `what` is a MIDIMON_SYSTEM_*. Grant `system-control`. */
    int32_t (*system_control)(const midimon_host *host, int32_t what);

    /**
     * Shows a notification: a title of at most 80 bytes, behind the plugin's id, and a
     * body of at most 1024. Needs no grant; about one a second.
     */
    int32_t (*notify)(const midimon_host *host, midimon_str title, midimon_str body);

    /*
     * The next version of midimon ended its table here: a plugin that is to run on that
     * too asks MIDIMON_HAS first.
     */

    /**
     * Emits an event, which mappings can wait for: a name of at most 64 bytes without
     * control characters, a value of at most 1024. Needs no grant; about 100 a second.
     */
    int32_t (*emit)(const midimon_host *host, midimon_str event, midimon_str value);

    /**
     * Sets a light of a device, named by its alias in the configuration: value or colour
     * 0 (off) to 127, on channel 1 to 16. `light` is a MIDIMON_LIGHT_*, `number` the note
     * or controller, 0 to 127. The latest value wins; 250 a second are sent at most. Lights
     * that are on are switched off when the plugin's process ends. Grant `midi:PORT` for
     * the device's output, by the name the configuration has for the device.
     */
    int32_t (*set_light)(const midimon_host *host, midimon_str device, int32_t channel, int32_t light,
                         int32_t number, int32_t value);

    /** Makes a mode the active one. Grant `mode`. */
    int32_t (*set_mode)(const midimon_host *host, midimon_str name);

    /**
     * Calls handle once, `ms` from now (10 to 86400000): with this action (at most 256
     * bytes), these parameters (a JSON object of at most 4096 bytes; empty is none) and
     * the trigger MIDIMON_TRIGGER_TIMER. `id` is the plugin's choice; one that is in use
     * is set anew. A plugin has 32 timers at most. They end with its process: set them
     * again in init. Needs no grant.
     */
    int32_t (*after)(const midimon_host *host, uint32_t id, uint32_t ms, midimon_str action, midimon_str params_json);

    /** The same every `ms`. A call that is due while an earlier one has not been answered is left out. */
    int32_t (*every)(const midimon_host *host, uint32_t id, uint32_t ms, midimon_str action, midimon_str params_json);

    /** Stops a timer; one that is not there is no error. */
    int32_t (*cancel)(const midimon_host *host, uint32_t id);

    /**
     * How full the data directory is. Set `struct_size` first. Needs no grant; without
     * `filesystem` all four are 0.
     */
    int32_t (*usage)(const midimon_host *host, midimon_usage *usage);

    /**
     * The certificates that TLS servers are checked against: the system's, or Mozilla's
     * where it has none. On success `*descriptor` is a file that the plugin owns: read it
     * from its beginning, then close it. Each certificate is DER with its length in front,
     * four bytes, the lowest first. Needs no grant.
     */
    int32_t (*tls_roots)(const midimon_host *host, int32_t *descriptor);
};

/** What a plugin says it is. Filled in by describe; the texts must stay valid until shutdown returns. */
typedef struct midimon_metadata {
    /** sizeof(midimon_metadata) as midimon was built; leave it alone. */
    uint32_t struct_size;
    uint32_t reserved;
    /** Its name, for people. At most 256 bytes are kept. */
    midimon_str name;
    /** Its version. At most 64 bytes are kept. */
    midimon_str version;
    /** What it is for, in a line. At most 1024 bytes are kept. */
    midimon_str description;
} midimon_metadata;

/** The event behind a call. */
typedef struct midimon_context {
    /** sizeof(midimon_context) as midimon was built. */
    uint32_t struct_size;
    /** One of MIDIMON_TRIGGER_*. */
    uint32_t trigger;
    /** Velocity, pressure or controller value, 0 to 127; -1 when there is none. */
    int32_t velocity;
    /** Index of the active mode; -1 when there is none. */
    int32_t current_mode;
    /** When it happened, in milliseconds since the Unix epoch. */
    uint64_t timestamp_ms;
    /** CLOCK_MONOTONIC when the message was read, in nanoseconds. */
    uint64_t monotonic_ns;
    /** Name of the active mode, or empty. */
    midimon_str mode_name;
    /** Alias of the device that sent the message, or empty. */
    midimon_str device;
    /** The MIDI channel message as on the wire; only the first `message_len` bytes count. */
    uint8_t message[3];
    /** 0 when there is no message, else 2 or 3. */
    uint8_t message_len;
    uint8_t reserved[4];
} midimon_context;

/** One parameter of a mapping as text: a string is itself, everything else is its JSON. */
typedef struct midimon_parameter {
    midimon_str name;
    midimon_str value;
} midimon_parameter;

/** One call. Valid, with all it points to, until handle returns. */
typedef struct midimon_call {
    /** sizeof(midimon_call) as midimon was built. */
    uint32_t struct_size;
    uint32_t reserved;
    /** Which action of the plugin. */
    midimon_str action;
    /** The mapping's `params` table: a JSON object, `{}` when there is none. */
    midimon_str params_json;
    /** The same table as pairs of text, in the order written, for plugins without a JSON parser. */
    const midimon_parameter *parameters;
    /** How many pairs. */
    size_t parameter_count;
    /** The event behind the call; never NULL. */
    const midimon_context *context;
} midimon_call;

/** A plugin: constant, and valid for as long as the library is loaded. */
typedef struct midimon_plugin {
    /** MIDIMON_ABI_VERSION. First, so that any version of midimon can read it. */
    uint32_t abi_version;
    /** sizeof(midimon_plugin). */
    uint32_t struct_size;

    /** Says what the plugin is. Called once, before init. */
    void (*describe)(midimon_metadata *metadata);

    /**
     * Starts the plugin. `settings` is its `[plugins.ID.settings]` table as a JSON
     * object, `{}` when there is none. `*state` is NULL on entry; what the plugin puts
     * there is handed to handle and shutdown. Returns MIDIMON_OK, or anything else
     * when the plugin cannot run: then neither handle nor shutdown is called.
     */
    int32_t (*init)(const midimon_host *host, midimon_str settings, void **state);

    /** Performs one call. Returns MIDIMON_OK or the plugin's own error code. */
    int32_t (*handle)(void *state, const midimon_call *call);

    /** Ends the plugin: free `state`, save what must be saved. The process ends after it. */
    void (*shutdown)(void *state);
} midimon_plugin;

/** The one symbol a plugin exports. Called once; never returns NULL. */
MIDIMON_EXPORT const midimon_plugin *midimon_plugin_v1(void);

#ifdef __cplusplus
}
#endif

#endif /* MIDIMON_PLUGIN_H */
