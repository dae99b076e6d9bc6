/* Opens a file relative to a directory whose descriptor leaked. */
#include "case.h"

static int attempt(const char *data_dir)
{
    (void)data_dir;
    for (int fd = 6; fd < 1024; fd++) {
        int file = openat(fd, "etc/passwd", O_RDONLY | O_CLOEXEC);
        if (file >= 0)
            return 0;
        if (errno != EBADF && errno != ENOTDIR && errno != ENOENT)
            return errno;
    }
    return EBADF;
}
