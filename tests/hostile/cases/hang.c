/* Does not come back: "spin", "sleep", or with every signal blocked and ignored. Outside it gives up after a while. */
#include "case.h"
#include <time.h>

static int seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int)now.tv_sec;
}

static int attempt(const char *data_dir)
{
    int until = case_outside ? seconds() + 2 : 0;
    (void)data_dir;
    if (!strcmp(case_input(), "deaf")) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        for (int number = 1; number < 32; number++)
            if (number != SIGKILL && number != SIGSTOP && number != SIGSYS)
                signal(number, SIG_IGN);
    }
    while (!until || seconds() < until)
        if (strcmp(case_input(), "spin"))
            usleep(100000);
    return 0;
}
