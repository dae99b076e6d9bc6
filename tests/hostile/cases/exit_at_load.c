/* Ends the process while it is loaded, with a code of its choice; outside it reports only. */
#include "case.h"

static int attempt(const char *data_dir)
{
    (void)data_dir;
    if (!case_outside)
        _exit(atoi(case_input()));
    return 0;
}
