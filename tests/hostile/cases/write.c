/* Makes a file outside its data directory, or writes to one that is there. */
#include "case.h"

static int attempt(const char *data_dir)
{
    (void)data_dir;
    int file = open(case_input(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    TRY(file);
    TRY(write(file, "x", 1));
    close(file);
    return 0;
}
