/* Moves the stack on which forbidden calls are told to where nothing is, then makes one. */
#include "case.h"
#include <sys/mman.h>

static int attempt(const char *data_dir)
{
    (void)data_dir;
    void *hole = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TRY(hole);
    stack_t stack = {hole, 0, 65536};
    TRY(sigaltstack(&stack, NULL));
    TRY(kill(getpid(), 0));
    return 0;
}
