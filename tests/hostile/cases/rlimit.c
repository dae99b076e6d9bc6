/* Reads or sets a limit, its own or another process's. */
#include "case.h"
#include <sys/resource.h>

static int attempt(const char *data_dir)
{
    char word[32] = "";
    int pid = 0;
    struct rlimit now, one = {1, 1};
    (void)data_dir;
    sscanf(case_input(), "%31s %d", word, &pid);
    if (!strcmp(word, "raise")) { /* to what it is: the kernel always grants that */
        TRY(getrlimit(RLIMIT_NOFILE, &now));
        TRY(setrlimit(RLIMIT_NOFILE, &now));
    } else if (!strcmp(word, "parent"))
        TRY(prlimit(getppid(), RLIMIT_CORE, NULL, &now));
    else if (!strcmp(word, "read"))
        TRY(prlimit(pid, RLIMIT_CORE, NULL, &now));
    else if (!strcmp(word, "choke"))
        TRY(prlimit(pid, RLIMIT_NOFILE, &one, NULL));
    else
        return ENOMSG;
    return 0;
}
