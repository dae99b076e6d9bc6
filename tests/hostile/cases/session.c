/* Leaves what ties it to the supervisor. */
#include "case.h"
#include <sys/prctl.h>

static int attempt(const char *data_dir)
{
    const char *word = case_input();
    (void)data_dir;
    if (!strcmp(word, "setsid")) {
        /* a group's leader may not: that answer too comes from the kernel */
        if (setsid() == -1 && (errno != EPERM || getpgrp() != getpid()))
            return errno;
    } else if (!strcmp(word, "setpgid"))
        TRY(setpgid(0, 0));
    else if (!strcmp(word, "pdeathsig"))
        TRY(prctl(PR_SET_PDEATHSIG, 0));
    else if (!strcmp(word, "dumpable"))
        TRY(prctl(PR_SET_DUMPABLE, 1));
    else if (!strcmp(word, "subreaper"))
        TRY(prctl(PR_SET_CHILD_SUBREAPER, 1));
    else if (!strcmp(word, "ptracer"))
        TRY(prctl(PR_SET_KEEPCAPS, 0));
    else if (!strcmp(word, "strict"))
        TRY(prctl(PR_SET_TIMERSLACK, 50000));
    else
        return ENOMSG;
    return 0;
}
