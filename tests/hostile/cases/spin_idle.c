/* Answers every call, and uses the processor between them on a thread of its own. */
#include "case.h"

static void *spin(void *unused)
{
    for (volatile unsigned long n = 0;; n++)
        ;
    return unused;
}

static int attempt(const char *data_dir)
{
    pthread_t thread;
    (void)data_dir;
    return pthread_create(&thread, NULL, spin, NULL);
}
