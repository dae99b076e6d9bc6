/* Puts its own handler where forbidden calls are told, or ignores, or blocks the signal. */
#include "case.h"

static volatile sig_atomic_t caught;

static void catch(int number)
{
    (void)number;
    caught = 1;
}

static int attempt(const char *data_dir)
{
    struct sigaction mine;
    sigset_t set;
    (void)data_dir;
    memset(&mine, 0, sizeof mine);
    if (!strcmp(case_input(), "handler")) {
        mine.sa_handler = catch;
        TRY(sigaction(SIGSYS, &mine, NULL));
    } else if (!strcmp(case_input(), "ignore")) {
        mine.sa_handler = SIG_IGN;
        TRY(sigaction(SIGSYS, &mine, NULL));
    } else if (!strcmp(case_input(), "default")) {
        mine.sa_handler = SIG_DFL;
        TRY(sigaction(SIGSYS, &mine, NULL));
    } else { /* blocked: the kernel ends the process all the same */
        sigemptyset(&set);
        sigaddset(&set, SIGSYS);
        if (pthread_sigmask(SIG_BLOCK, &set, NULL))
            return EINVAL;
        TRY(syscall(SYS_getppid) == 0 ? -1 : 0);
        TRY(kill(getpid(), 0));
    }
    return 0;
}
