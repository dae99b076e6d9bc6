/* Memory up to near the limit of 128 MiB, given back, taken again; over it, NULL and no more. */
#include "case.h"
#include <malloc.h>
#include <sys/mman.h>

static int attempt(const char *data_dir)
{
    (void)data_dir;
    for (int round = 0; round < 3; round++) {
        char *large = malloc((size_t)90 << 20);
        TRY(large ? 0 : -1);
        memset(large, 1, (size_t)90 << 20);
        free(large);
    }
    char *grown = NULL;
    for (size_t size = 1; size <= (size_t)32 << 20; size *= 2) {
        char *more = realloc(grown, size);
        TRY(more ? 0 : -1);
        more[size - 1] = 1;
        grown = more;
    }
    free(grown);
    void *aligned = NULL;
    if (posix_memalign(&aligned, 65536, 1 << 20))
        return ENOMEM;
    free(aligned);
    char *zeroes = calloc(1000, 1000);
    TRY(zeroes ? 0 : -1);
    free(zeroes);
    void *many[1000];
    for (int n = 0; n < 1000; n++)
        many[n] = malloc((size_t)n * 17);
    for (int n = 0; n < 1000; n++)
        free(many[n]);
    malloc_trim(0);
    void *map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    TRY(map);
    madvise(map, 1 << 20, MADV_DONTNEED);
    madvise(map, 1 << 20, MADV_HUGEPAGE);
    TRY(mprotect(map, 4096, PROT_READ));
    TRY(munmap(map, 1 << 20));
    volatile size_t too_much = (size_t)1 << 40;
    void *refused = malloc(too_much);
    if (refused)
        free(refused);
    return 0;
}
