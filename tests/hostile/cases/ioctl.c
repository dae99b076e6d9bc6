/* Talks to a device: asking a pipe for signals stands for every request, TIOCSTI included. */
#include "case.h"
#include <sys/ioctl.h>

static int attempt(const char *data_dir)
{
    int ends[2], no = 0;
    (void)data_dir;
    if (!strcmp(case_input(), "TIOCSTI")) {
        /* types into the user's terminal; without one the kernel says ENOTTY, which is not what is tried here */
        int terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        TRY(terminal);
        if (ioctl(terminal, TIOCSTI, "x") == -1 && errno != EPERM && errno != EIO)
            return errno;
        return 0;
    }
    if (!strcmp(case_input(), "log"))
        ends[0] = 4;
    else
        TRY(pipe(ends));
    TRY(ioctl(ends[0], FIOASYNC, &no));
    return 0;
}
