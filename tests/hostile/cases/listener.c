/* Asks for a listener, so that a process of its choice answers for the kernel. */
#include "case.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

static int attempt(const char *data_dir)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &allow};
    (void)data_dir;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    TRY(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 8 /* NEW_LISTENER */, &program));
    return 0;
}
