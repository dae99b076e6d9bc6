// {{name}}: greets somebody when a pad is hit.
//
// What the five functions at the end are called with is theirs to free; what they give back is
// allocated (`…_dup`), and midimon's side frees it.

#include "bindings/midimon_component.h"
#include "params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef midimon_component_string_t string_t;
typedef midimon_component_option_string_t answer_t;
typedef exports_midimon_plugin_plugin_context_t context_t;
typedef exports_midimon_plugin_plugin_failure_t failure_t;

// An action with its parameters, read once.
typedef struct bound {
    bool (*act)(const struct bound *bound, const context_t *context, answer_t *answer, failure_t *failure);
    char name[256];
} bound_t;

// By number.
static bound_t *bounds;
static uint32_t bound_count;

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

static bool greet(const bound_t *bound, const context_t *context, answer_t *answer, failure_t *failure) {
    char greeting[300], line[340];
    string_t logged;

    (void)failure;
    // velocity is there when a pad was hit
    bool hard = context->velocity.is_some && context->velocity.val > 100;
    snprintf(greeting, sizeof greeting, "hello %s%s", bound->name, hard ? "!" : "");
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

static bool read_bound(bound_t *bound, const string_t *action, const string_t *params, failure_t *failure) {
    if (!is(action, "greet")) {
        return fail(failure, 2, "there is no such action");
    }
    bound->act = greet;
    strcpy(bound->name, "you");
    if (param_text(params->ptr, params->len, "name", bound->name, sizeof bound->name) == PARAM_WRONG) {
        return fail(failure, 2, "'name': expected a text of at most 255 bytes");
    }
    return true;
}

// Tells an action and its parameters, as JSON, with the number by which they are called.
bool exports_midimon_plugin_plugin_bind(uint32_t binding, string_t *action, string_t *params, failure_t *failure) {
    bool done = true;

    if (binding >= bound_count) {
        bound_t *more = realloc(bounds, (binding + 1) * sizeof *more);
        if (more == NULL) {
            done = fail(failure, 1, "no memory is left");
        } else {
            memset(more + bound_count, 0, (binding + 1 - bound_count) * sizeof *more);
            bounds = more;
            bound_count = binding + 1;
        }
    }
    done = done && read_bound(&bounds[binding], action, params, failure);
    midimon_component_string_free(action);
    midimon_component_string_free(params);
    return done;
}

bool exports_midimon_plugin_plugin_handle(uint32_t binding, context_t *context, answer_t *answer, failure_t *failure) {
    answer->is_some = false;
    return bounds[binding].act(&bounds[binding], context, answer, failure);
}

void exports_midimon_plugin_plugin_stop(void) {}
