/* Changes the verified code in the memory it came in. */
#include "case.h"
#include <sys/mman.h>

static int attempt(const char *data_dir)
{
    int found = EBADF;
    (void)data_dir;
    /* outside there is none: the control makes one without seals */
    if (case_outside)
        memfd_create("code", MFD_CLOEXEC);
    for (int fd = 3; fd < 1024; fd++) {
        struct stat status;
        if (syscall(SYS_fstat, fd, &status) || !S_ISREG(status.st_mode))
            continue;
        if (pwrite(fd, "x", 1, 0) == 1)
            return 0;
        found = errno;
    }
    return found;
}
