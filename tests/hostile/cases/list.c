/* Lists a directory. */
#include "case.h"
#include <dirent.h>

static int attempt(const char *data_dir)
{
    (void)data_dir;
    DIR *directory = opendir(case_input());
    if (!directory)
        return errno;
    errno = ENOENT;
    int found = readdir(directory) != NULL;
    closedir(directory);
    return found ? 0 : errno;
}
