/* Empties a file: open with O_TRUNC alone writes nothing that an old Landlock would refuse. */
#include "case.h"

static int attempt(const char *data_dir)
{
    (void)data_dir;
    char word[16] = "", path[600] = "";
    sscanf(case_input(), "%15s %599s", word, path);
    if (!strcmp(word, "open")) {
        int file = open(path, O_RDONLY | O_TRUNC | O_CLOEXEC);
        TRY(file);
        close(file);
        struct stat status;
        TRY(stat(path, &status));
        return status.st_size == 0 ? 0 : ENOMSG;
    }
    TRY(truncate(path, 0));
    return 0;
}
