/*
 * Answers every action with what it was told, in C99 and nothing else:
 *
 *     cc -std=c99 -O2 -fPIC -shared -I ../sdk/include -o libecho_c.so echo.c
 */
#include <midimon_plugin.h>
#include <stdio.h>

static const midimon_host *host;

static void describe(midimon_metadata *metadata)
{
    static const midimon_str name = MIDIMON_STR("Echo in C");
    static const midimon_str version = MIDIMON_STR("0.1.0");
    static const midimon_str description = MIDIMON_STR("Answers with what it was told");
    metadata->name = name;
    metadata->version = version;
    metadata->description = description;
}

static int32_t init(const midimon_host *given, midimon_str settings, void **state)
{
    (void)settings;
    (void)state;
    host = given;
    return MIDIMON_OK;
}

static int32_t handle(void *state, const midimon_call *call)
{
    const midimon_context *context = call->context;
    char answer[1024];
    midimon_str text = {answer, 0};
    int length;

    (void)state;
    length = snprintf(answer, sizeof answer, "%.*s %.*s", (int)call->action.len, call->action.data,
                      (int)call->params_json.len, call->params_json.data);
    /* what does not fit is left out */
    if (length > 0 && (size_t)length < sizeof answer && context->velocity >= 0)
        length += snprintf(answer + length, sizeof answer - (size_t)length, ", velocity %d", (int)context->velocity);
    if (length < 0)
        return 1;
    text.len = (size_t)length < sizeof answer ? (size_t)length : sizeof answer - 1;
    host->answer(host, text);
    return MIDIMON_OK;
}

static void shutdown(void *state)
{
    (void)state;
}

MIDIMON_EXPORT const midimon_plugin *midimon_plugin_v1(void)
{
    static const midimon_plugin plugin = {
        MIDIMON_ABI_VERSION, sizeof(midimon_plugin), describe, init, handle, shutdown,
    };
    return &plugin;
}
