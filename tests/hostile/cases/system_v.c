/* Queues and semaphores that outlive their maker. */
#include "case.h"
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

static int attempt(const char *data_dir)
{
    const char *word = case_input();
    int id = -1;
    (void)data_dir;
    if (!strcmp(word, "msg")) {
        TRY(id = msgget(IPC_PRIVATE, IPC_CREAT | 0600));
        msgctl(id, IPC_RMID, NULL);
    } else if (!strcmp(word, "sem")) {
        TRY(id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600));
        semctl(id, 0, IPC_RMID);
    } else { /* by number: the library is not linked everywhere */
        char name[32];
        snprintf(name, sizeof name, "midimon-%d-%c", (int)getpid(), case_mode());
        TRY(syscall(SYS_mq_open, name, O_CREAT | O_RDWR, 0600, NULL));
        syscall(SYS_mq_unlink, name);
    }
    return 0;
}
