/* Loads and works, and does not end: in shutdown, at exit, in a destructor. */
#define CASE_SHUTDOWN never
#include "case.h"

static void hang(void)
{
    for (;;)
        pause();
}

static void never(void *state)
{
    (void)state;
    hang();
}

__attribute__((destructor)) static void unload(void)
{
    if (!case_outside)
        hang();
}

static int attempt(const char *data_dir)
{
    (void)data_dir;
    if (!case_outside)
        atexit(hang);
    return 0;
}
