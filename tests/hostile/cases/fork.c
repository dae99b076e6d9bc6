/* Makes a process. */
#include "case.h"
#include <sched.h>
#include <sys/wait.h>

static int attempt(const char *data_dir)
{
    const char *how = case_input();
    pid_t child = -1;
    (void)data_dir;
    if (!strcmp(how, "fork"))
        child = fork();
    else if (!strcmp(how, "vfork"))
        child = vfork();
#ifdef SYS_fork
    else if (!strcmp(how, "old"))
        child = (pid_t)syscall(SYS_fork);
#endif
    else if (!strcmp(how, "clone3")) {
        uint64_t arguments[8] = {0, 0, 0, 0, SIGCHLD, 0, 0, 0};
        child = (pid_t)syscall(SYS_clone3, arguments, sizeof arguments);
    } else if (!strcmp(how, "namespace"))
        child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    else if (!strcmp(how, "parent")) /* a brother of its own, not a child */
        child = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
    else if (!strcmp(how, "memory")) /* as a thread, but a process */
        child = (pid_t)syscall(SYS_clone, CLONE_VFORK | CLONE_VM | SIGCHLD, 0, 0, 0, 0);
    else
        return ENOMSG;
    TRY(child);
    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    return 0;
}
