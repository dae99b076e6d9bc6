/*
 * Looks for a descriptor that leaked: anything above 5 that leads further than a worker's own
 * memory, its event queue and, with the grant, its data directory.
 */
#include "case.h"

static int attempt(const char *data_dir)
{
    for (int fd = 6; fd < 1024; fd++) {
        struct stat status;
        if (syscall(SYS_fstat, fd, &status))
            continue;
        if (S_ISDIR(status.st_mode) && !*data_dir)
            return 0;
        if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode) || S_ISSOCK(status.st_mode) || S_ISFIFO(status.st_mode))
            return 0;
        if (S_ISREG(status.st_mode) && status.st_nlink > 0)
            return 0; /* memory has no link */
    }
    return EBADF;
}
