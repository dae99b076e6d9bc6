/* {{name}}: greets somebody when a pad is hit. */
#include <midimon_plugin.h>

#include <stdio.h>
#include <string.h>

static const midimon_host *host;
static unsigned long greeted;

static int same(midimon_str text, const char *other) {
    return text.len == strlen(other) && memcmp(text.data, other, text.len) == 0;
}

static void describe(midimon_metadata *metadata) {
    static const midimon_str name = MIDIMON_STR("{{name}}");
    static const midimon_str version = MIDIMON_STR("0.1.0");
    static const midimon_str description = MIDIMON_STR("Greets somebody");
    metadata->name = name;
    metadata->version = version;
    metadata->description = description;
}

static int32_t init(const midimon_host *given, midimon_str settings, void **state) {
    (void)settings;
    (void)state;
    host = given;
    return MIDIMON_OK;
}

static int32_t greet(const midimon_call *call) {
    static const midimon_str nobody = MIDIMON_STR("you");
    midimon_str name = nobody, text;
    char line[256];
    size_t index;
    int length;

    for (index = 0; index < call->parameter_count; index++) {
        if (same(call->parameters[index].name, "name")) {
            name = call->parameters[index].value;
        }
    }
    /* velocity is -1 unless a pad was hit; names longer than 100 bytes are cut */
    length = snprintf(line, sizeof line, "hello %.*s%s", name.len < 100 ? (int)name.len : 100, name.data,
                      call->context->velocity > 100 ? "!" : "");
    text.data = line;
    text.len = (size_t)length;
    host->answer(host, text);
    length += snprintf(line + length, sizeof line - (size_t)length, " (number %lu)", ++greeted);
    text.len = (size_t)length;
    host->log(host, MIDIMON_LOG_INFO, text);
    return MIDIMON_OK;
}

static int32_t handle(void *state, const midimon_call *call) {
    static const midimon_str unknown = MIDIMON_STR("there is no such action");
    (void)state;
    if (same(call->action, "greet")) {
        return greet(call);
    }
    host->fail(host, unknown);
    return 2;
}

static void shut_down(void *state) {
    (void)state;
}

MIDIMON_EXPORT const midimon_plugin *midimon_plugin_v1(void) {
    static const midimon_plugin plugin = {
        MIDIMON_ABI_VERSION, sizeof(midimon_plugin), describe, init, handle, shut_down,
    };
    return &plugin;
}
