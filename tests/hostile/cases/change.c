/* Changes what Landlock does not know: mode, owner, times, attributes of the user's file. */
#include "case.h"
#include <sys/time.h>
#include <sys/xattr.h>

static int attempt(const char *data_dir)
{
    char word[16] = "", path[600] = "";
    struct timespec times[2] = {{1, 0}, {1, 0}};
    struct timeval old[2] = {{1, 0}, {1, 0}};
    (void)data_dir;
    (void)old;
    sscanf(case_input(), "%15s %599s", word, path);
    if (!strcmp(word, "chmod"))
        TRY(chmod(path, 0777));
    else if (!strcmp(word, "fchmodat"))
        TRY(fchmodat(AT_FDCWD, path, 0777, 0));
    else if (!strcmp(word, "chown"))
        TRY(lchown(path, geteuid(), getegid()));
    else if (!strcmp(word, "utimensat"))
        TRY(utimensat(AT_FDCWD, path, times, 0));
#ifdef SYS_utimes
    else if (!strcmp(word, "utimes"))
        TRY(syscall(SYS_utimes, path, old));
#endif
    else if (!strcmp(word, "setxattr"))
        TRY(setxattr(path, "user.midimon", "x", 1, 0));
    else if (!strcmp(word, "removexattr")) {
        /* nothing to remove: that answer comes from the file */
        if (removexattr(path, "user.midimon") && errno != ENODATA)
            return errno;
    } else
        return ENOMSG;
    return 0;
}
