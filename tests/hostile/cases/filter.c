/*
 * Installs a filter of its own that allows everything, then makes a forbidden call. Only the worker's
 * second filter can be installed, from where it lies.
 */
#include "case.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static int attempt(const char *data_dir)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &allow};
    (void)data_dir;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!strcmp(case_input(), "prctl"))
        TRY(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
    else
        TRY(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, !strcmp(case_input(), "all") ? SECCOMP_FILTER_FLAG_TSYNC : 0, &program));
    /* what another filter forbids stays forbidden */
    TRY(socket(AF_INET, SOCK_STREAM, 0));
    return 0;
}
