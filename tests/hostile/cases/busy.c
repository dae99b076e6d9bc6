/* Uses the processor for 90 ms, which no deadline minds. */
#include "case.h"
#include <time.h>

static int attempt(const char *data_dir)
{
    struct timespec now, start;
    long worked;
    (void)data_dir;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
        worked = (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
    } while (worked < 90);
    return 0;
}
