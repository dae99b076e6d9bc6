/* Takes a descriptor out of another process. */
#include "case.h"

static int attempt(const char *data_dir)
{
    int pid = atoi(case_input());
    (void)data_dir;
    int fd = (int)syscall(434 /* pidfd_open */, pid ? pid : getppid(), 0);
    TRY(fd);
    TRY(syscall(438 /* pidfd_getfd */, fd, 0, 0));
    return 0;
}
