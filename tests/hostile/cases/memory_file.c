/* Memory that is a file and counts as nobody's. */
#include "case.h"
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

static int attempt(const char *data_dir)
{
    const char *word = case_input();
    (void)data_dir;
    if (!strcmp(word, "memfd"))
        TRY(memfd_create("x", 0));
    else if (!strcmp(word, "secret")) {
        /* a kernel without it, or with it switched off, says so */
        if (syscall(447 /* memfd_secret */, 0) == -1 && errno != ENOSYS)
            return errno;
    } else if (!strcmp(word, "shm")) {
        int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
        TRY(id);
        shmctl(id, IPC_RMID, NULL);
    } else
        return ENOMSG;
    return 0;
}
