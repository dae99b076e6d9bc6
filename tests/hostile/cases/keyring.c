/* Looks into the user's keyrings. */
#include "case.h"

static int attempt(const char *data_dir)
{
    const char *word = case_input();
    (void)data_dir;
    if (!strcmp(word, "keyctl"))
        TRY(syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, -4 /* user */, 1));
    else if (!strcmp(word, "add_key"))
        TRY(syscall(SYS_add_key, "user", "midimon", "x", 1, -1 /* thread */));
    else { /* asked for, not found: so it was asked */
        if (syscall(SYS_request_key, "user", "midimon-none", NULL, 0) == -1 && errno != ENOKEY)
            return errno;
    }
    return 0;
}
