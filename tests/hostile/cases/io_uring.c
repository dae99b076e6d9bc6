/* Sets up io_uring, whose operations no filter sees. */
#include "case.h"

static int attempt(const char *data_dir)
{
    char parameters[120] = {0};
    (void)data_dir;
    TRY(syscall(425 /* io_uring_setup */, 4, parameters));
    return 0;
}
