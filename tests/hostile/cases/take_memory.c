/* Takes 512 MiB and uses it. */
#include "case.h"
#include <sys/mman.h>

#define PART ((size_t)16 << 20)

static int attempt(const char *data_dir)
{
    const char *word = case_input();
    (void)data_dir;
    for (int n = 0; n < 32; n++) {
        char *part = NULL;
        if (!strcmp(word, "malloc"))
            part = malloc(PART);
        else if (!strcmp(word, "mmap"))
            part = mmap(NULL, PART, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        else if (!strcmp(word, "noreserve"))
            part = mmap(NULL, PART, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        else if (!strcmp(word, "shared"))
            part = mmap(NULL, PART, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        else if (!strcmp(word, "brk")) {
            part = sbrk((intptr_t)PART);
            if (part == (char *)-1)
                return errno;
        } else if (!strcmp(word, "protect")) { /* reserved first, made writable later */
            part = mmap(NULL, PART, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (part != MAP_FAILED)
                TRY(mprotect(part, PART, PROT_READ | PROT_WRITE));
        } else if (!strcmp(word, "grow")) {
            part = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (part != MAP_FAILED)
                part = mremap(part, 4096, PART, MREMAP_MAYMOVE);
        } else
            return ENOMSG;
        if (!part || part == MAP_FAILED)
            return errno;
        memset(part, 1, PART);
    }
    return 0;
}
