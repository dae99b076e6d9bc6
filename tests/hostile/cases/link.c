/* Plants a name in its data directory that leads to the user's file, or takes its own away. */
#include "case.h"
#include <sys/socket.h>
#include <sys/un.h>

static int attempt(const char *data_dir)
{
    char word[16] = "", path[600] = "", own[600], other[700];
    sscanf(case_input(), "%15s %599s", word, path);
    snprintf(own, sizeof own, "%s/%s-%c", data_dir, word, case_mode());
    snprintf(other, sizeof other, "%s-%c", path, case_mode());
    if (!strcmp(word, "symlink"))
        TRY(symlink(path, own));
    else if (!strcmp(word, "link"))
        TRY(link(path, own));
    else if (!strcmp(word, "linkat"))
        TRY(linkat(AT_FDCWD, path, AT_FDCWD, own, AT_SYMLINK_FOLLOW));
    else if (!strcmp(word, "mkfifo"))
        TRY(mkfifo(own, 0600));
    else if (!strcmp(word, "mknod"))
        TRY(mknod(own, S_IFREG | 0600, 0));
    else if (!strcmp(word, "out")) { /* a file of its own to somewhere else */
        int file = open(own, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        TRY(file);
        close(file);
        TRY(rename(own, other));
    } else if (!strcmp(word, "in")) /* the user's file to itself */
        TRY(rename(path, own));
    else if (!strcmp(word, "unlink"))
        TRY(unlink(path));
    else if (!strcmp(word, "mkdir"))
        TRY(mkdir(other, 0700));
    else if (!strcmp(word, "swap")) { /* its data directory away from under the supervisor */
        snprintf(other, sizeof other, "%s-away", data_dir);
        TRY(rename(data_dir, other));
    } else
        return ENOMSG;
    return 0;
}
