// {{name}}: greets somebody when a pad is hit.
//
// What the four functions at the end are called with is theirs to free; what they give back is
// allocated (`…_dup`), and midimon's side frees it.

#include "bindings/midimon_component.h"
#include "params.h"

#include <stdio.h>
#include <string.h>

typedef midimon_component_string_t string_t;
typedef midimon_component_option_string_t answer_t;
typedef exports_midimon_plugin_plugin_context_t context_t;
typedef exports_midimon_plugin_plugin_failure_t failure_t;

// How often somebody was greeted. It lasts from call to call, until the plugin stops.
static unsigned greeted;

static bool is(const string_t *text, const char *word) {
    return text->len == strlen(word) && memcmp(text->ptr, word, text->len) == 0;
}

static bool fail(failure_t *failure, int code, const char *message) {
    failure->code = code;
    midimon_component_string_dup(&failure->message, message);
    return false;
}

static bool greet(const string_t *params, const context_t *context, answer_t *answer, failure_t *failure) {
    char name[256] = "you", greeting[300], line[340];
    string_t logged;

    if (param_text(params->ptr, params->len, "name", name, sizeof name) == PARAM_WRONG) {
        return fail(failure, 2, "'name': expected a text of at most 255 bytes");
    }
    // velocity is there when a pad was hit
    bool hard = context->velocity.is_some && context->velocity.val > 100;
    snprintf(greeting, sizeof greeting, "hello %s%s", name, hard ? "!" : "");
    snprintf(line, sizeof line, "%s (number %u)", greeting, ++greeted);
    midimon_component_string_set(&logged, line);
    midimon_plugin_log_write(MIDIMON_PLUGIN_LOG_LEVEL_INFO, &logged);
    answer->is_some = true;
    midimon_component_string_dup(&answer->val, greeting);
    return true;
}

void exports_midimon_plugin_plugin_describe(exports_midimon_plugin_plugin_metadata_t *metadata) {
    midimon_component_string_dup(&metadata->name, "{{name}}");
    midimon_component_string_dup(&metadata->version, "0.1.0");
    midimon_component_string_dup(&metadata->description, "Greets somebody");
}

// With the user's settings, as JSON.
bool exports_midimon_plugin_plugin_start(string_t *settings, failure_t *failure) {
    (void)failure;
    midimon_component_string_free(settings);
    return true;
}

bool exports_midimon_plugin_plugin_handle(string_t *action, string_t *params, context_t *context, answer_t *answer,
                                          failure_t *failure) {
    bool done;

    answer->is_some = false;
    if (is(action, "greet")) {
        done = greet(params, context, answer, failure);
    } else {
        done = fail(failure, 2, "there is no such action");
    }
    midimon_component_string_free(action);
    midimon_component_string_free(params);
    return done;
}

void exports_midimon_plugin_plugin_stop(void) {}
