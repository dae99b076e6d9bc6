#include "params.h"

#include <string.h>

// A place in the JSON text.
typedef struct {
    const unsigned char *at, *end;
} cursor_t;

static int peek(const cursor_t *c) { return c->at < c->end ? *c->at : -1; }

static int take(cursor_t *c) { return c->at < c->end ? *c->at++ : -1; }

static void skip_space(cursor_t *c) {
    while (peek(c) == ' ' || peek(c) == '\n' || peek(c) == '\r' || peek(c) == '\t') c->at++;
}

static unsigned take_hex(cursor_t *c) {
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = take(c) | 0x20;
        value = value << 4 | (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    return value;
}

// Adds bytes while there is room; what does not fit makes `used` larger than the room.
typedef struct {
    char *text;
    size_t size, used;
} room_t;

static void put(room_t *room, unsigned byte) {
    if (room->used + 1 < room->size) room->text[room->used] = (char)byte;
    room->used++;
}

static void put_utf8(room_t *room, unsigned point) {
    if (point < 0x80) {
        put(room, point);
    } else if (point < 0x800) {
        put(room, 0xC0 | point >> 6);
        put(room, 0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        put(room, 0xE0 | point >> 12);
        put(room, 0x80 | (point >> 6 & 0x3F));
        put(room, 0x80 | (point & 0x3F));
    } else {
        put(room, 0xF0 | point >> 18);
        put(room, 0x80 | (point >> 12 & 0x3F));
        put(room, 0x80 | (point >> 6 & 0x3F));
        put(room, 0x80 | (point & 0x3F));
    }
}

// Reads a string, its first quotation mark ahead. False when it does not fit.
static bool take_string(cursor_t *c, char *text, size_t size) {
    room_t room = {text, size, 0};
    take(c);
    for (int byte; (byte = take(c)) != '"' && byte >= 0;) {
        if (byte != '\\') {
            put(&room, (unsigned)byte);
            continue;
        }
        switch (byte = take(c)) {
        case 'b': put(&room, '\b'); break;
        case 'f': put(&room, '\f'); break;
        case 'n': put(&room, '\n'); break;
        case 'r': put(&room, '\r'); break;
        case 't': put(&room, '\t'); break;
        case 'u': {
            unsigned point = take_hex(c);
            if (point >= 0xD800 && point < 0xDC00 && c->end - c->at >= 6) { // the first of a pair
                c->at += 2;
                point = 0x10000 + ((point & 0x3FF) << 10) + (take_hex(c) & 0x3FF);
            }
            put_utf8(&room, point);
            break;
        }
        default: put(&room, (unsigned)byte);
        }
    }
    if (room.used >= size) return false;
    text[room.used] = '\0';
    return true;
}

static void skip_string(cursor_t *c) {
    take(c);
    for (int byte; (byte = take(c)) != '"' && byte >= 0;) {
        if (byte == '\\') take(c);
    }
}

static void skip_value(cursor_t *c) {
    for (int depth = 0; c->at < c->end;) {
        int byte = peek(c);
        if (depth == 0 && (byte == ',' || byte == '}')) return;
        if (byte == '"') {
            skip_string(c);
            continue;
        }
        depth += (byte == '{' || byte == '[') - (byte == '}' || byte == ']');
        c->at++;
    }
}

param_t param_text(const unsigned char *json, size_t length, const char *name, char *text, size_t size) {
    cursor_t c = {json, json + length};
    skip_space(&c);
    for (int mark = take(&c); mark == '{' || mark == ','; mark = take(&c)) {
        char key[64];
        skip_space(&c);
        if (peek(&c) != '"') break;
        bool same = take_string(&c, key, sizeof key) && strcmp(key, name) == 0;
        skip_space(&c);
        take(&c); // the colon
        skip_space(&c);
        if (same) return peek(&c) == '"' && take_string(&c, text, size) ? PARAM_FOUND : PARAM_WRONG;
        skip_value(&c);
    }
    return PARAM_MISSING;
}
