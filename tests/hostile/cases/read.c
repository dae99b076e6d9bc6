/* Reads a byte of the file it is told; `%p` in the path is the parent's process id. */
#include "case.h"

static int attempt(const char *data_dir)
{
    char path[600], byte;
    const char *input = case_input(), *parent = strstr(input, "%p");
    (void)data_dir;
    if (parent)
        snprintf(path, sizeof path, "%.*s%d%s", (int)(parent - input), input, (int)getppid(), parent + 2);
    else
        snprintf(path, sizeof path, "%s", input);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    TRY(file);
    TRY(read(file, &byte, 1));
    close(file);
    return 0;
}
