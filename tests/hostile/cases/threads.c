/* Starts 300 threads that live. */
#include "case.h"

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *live(void *unused)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return unused;
}

static int attempt(const char *data_dir)
{
    pthread_t thread;
    pthread_attr_t small;
    int error = 0;
    (void)data_dir;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 32768);
    pthread_mutex_lock(&gate);
    for (int n = 0; n < 300 && !error; n++)
        error = pthread_create(&thread, &small, live, NULL);
    if (!error && !case_outside)
        for (;;) /* until it is noticed */
            pause();
    pthread_mutex_unlock(&gate);
    return error;
}
