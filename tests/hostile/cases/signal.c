/* Sends a signal to a process that is not its own. */
#include "case.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

static int attempt(const char *data_dir)
{
    char word[32] = "";
    int pid = 0;
    siginfo_t info;
    (void)data_dir;
    memset(&info, 0, sizeof info);
    info.si_code = SI_QUEUE;
    sscanf(case_input(), "%31s %d", word, &pid);
    if (!strcmp(word, "kill"))
        TRY(kill(pid, SIGKILL));
    else if (!strcmp(word, "parent"))
        TRY(kill(getppid(), 0));
    else if (!strcmp(word, "everybody"))
        TRY(kill(-1, 0)); /* signal 0: the control must not end the session */
    else if (!strcmp(word, "group"))
        TRY(kill(0, 0));
    else if (!strcmp(word, "self"))
        TRY(kill(getpid(), 0));
    else if (!strcmp(word, "tkill"))
        TRY(syscall(SYS_tkill, pid, SIGKILL));
    else if (!strcmp(word, "tgkill"))
        TRY(syscall(SYS_tgkill, pid, pid, SIGABRT));
    else if (!strcmp(word, "queue"))
        TRY(syscall(SYS_rt_sigqueueinfo, pid, SIGKILL, &info));
    else if (!strcmp(word, "tgqueue"))
        TRY(syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIGKILL, &info));
    else if (!strcmp(word, "pidfd")) {
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        TRY(fd);
        TRY(syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
    } else if (!strcmp(word, "owner")) { /* the kernel sends it, when the pipe is written to */
        int ends[2];
        TRY(pipe(ends));
        TRY(fcntl(ends[0], F_SETSIG, SIGKILL));
        TRY(fcntl(ends[0], F_SETOWN, pid));
    } else
        return ENOMSG;
    return 0;
}
