/* Stops itself, so that it seems alive and answers nobody; outside, it goes on at once. */
#include "case.h"

static int attempt(const char *data_dir)
{
    (void)data_dir;
    int how = !strcmp(case_input(), "tgkill") ? SIGSTOP : SIGTSTP;
    struct sigaction ignore;
    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN;
    if (how == SIGTSTP)
        TRY(sigaction(SIGTSTP, &ignore, NULL));
    /* the control has nobody to wake it: it asks with signal 0 */
    TRY(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), case_outside ? 0 : how));
    return 0;
}
