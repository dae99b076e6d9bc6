/* Takes hold of another process of the same user. */
#include "case.h"
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

static int attempt(const char *data_dir)
{
    char word[32] = "", byte;
    int pid = 0;
    struct iovec here = {&byte, 1}, there = {(void *)0x10000, 1};
    (void)data_dir;
    sscanf(case_input(), "%31s %d", word, &pid);
    if (!strcmp(word, "parent"))
        pid = getppid();
    if (!strcmp(word, "traceme"))
        TRY(ptrace(PTRACE_TRACEME, 0, 0, 0));
    else if (!strcmp(word, "readv") || !strcmp(word, "writev")) {
        long call = *word == 'r' ? SYS_process_vm_readv : SYS_process_vm_writev;
        /* nothing is mapped there: EFAULT says that the process was reached */
        if (syscall(call, pid, &here, 1, &there, 1, 0) == -1 && errno != EFAULT)
            return errno;
    } else {
        TRY(ptrace(PTRACE_SEIZE, pid, 0, 0));
        ptrace(PTRACE_DETACH, pid, 0, 0);
    }
    return 0;
}
