/* Changes how it is scheduled, to starve others. */
#include "case.h"
#include <sched.h>
#include <sys/resource.h>

static int attempt(const char *data_dir)
{
    const char *word = case_input();
    struct sched_param parameter = {0};
    cpu_set_t all;
    (void)data_dir;
    if (!strcmp(word, "setpriority"))
        TRY(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0)));
    else if (!strcmp(word, "parent"))
        TRY(setpriority(PRIO_PROCESS, getppid(), getpriority(PRIO_PROCESS, 0)));
    else if (!strcmp(word, "scheduler"))
        TRY(sched_setscheduler(0, SCHED_OTHER, &parameter));
    else if (!strcmp(word, "attributes")) {
        /* the size, and the nice value as it is: a lower one takes root */
        uint32_t attributes[12] = {48, [4] = (uint32_t)getpriority(PRIO_PROCESS, 0)};
        TRY(syscall(SYS_sched_setattr, 0, attributes, 0));
    } else if (!strcmp(word, "affinity")) {
        TRY(sched_getaffinity(0, sizeof all, &all));
        TRY(sched_setaffinity(0, sizeof all, &all));
    } else if (!strcmp(word, "ioprio"))
        TRY(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 4 /* best effort, the middle */));
    else
        return ENOMSG;
    return 0;
}
