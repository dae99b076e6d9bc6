// Reads a text out of a JSON object: the parameters of a call, or the settings.
#ifndef PARAMS_H
#define PARAMS_H

#include <stdbool.h>
#include <stddef.h>

// What became of it.
typedef enum {
    PARAM_FOUND,
    PARAM_MISSING,
    // it is there and no text, or it does not fit
    PARAM_WRONG,
} param_t;

// Copies the text `name` of the object into `text`, ended by a zero byte. `size` is the room
// there, the zero included. The object is valid JSON, as midimon gives it.
param_t param_text(const unsigned char *json, size_t length, const char *name, char *text, size_t size);

#endif
