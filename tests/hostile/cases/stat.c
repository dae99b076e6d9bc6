/* Asks whether a path of the user's exists, without opening it. */
#include "case.h"
#include <sys/statfs.h>

static int attempt(const char *data_dir)
{
    (void)data_dir;
    char word[16] = "", path[600] = "", link[64];
    struct stat status;
    struct statx more;
    struct statfs system;
    sscanf(case_input(), "%15s %599s", word, path);
    if (!strcmp(word, "stat"))
        TRY(stat(path, &status));
    else if (!strcmp(word, "statx"))
        TRY(statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &more));
    else if (!strcmp(word, "access"))
        TRY(access(path, F_OK));
    else if (!strcmp(word, "readlink"))
        TRY(readlink(path, link, sizeof link));
    else if (!strcmp(word, "statfs"))
        TRY(statfs(path, &system));
    else if (!strcmp(word, "path"))
        TRY(open(path, O_PATH | O_CLOEXEC));
    else
        return ENOMSG;
    return 0;
}
