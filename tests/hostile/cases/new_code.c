/* Makes memory that is written first and run then. */
#include "case.h"
#include <sys/mman.h>

static int attempt(const char *data_dir)
{
#if defined(__x86_64__)
    static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov eax, 42; ret */
#else
    static const uint32_t code[] = {0x52800540, 0xd65f03c0}; /* mov w0, 42; ret */
#endif
    int whole = !strcmp(case_input(), "mmap");
    (void)data_dir;
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | (whole ? PROT_EXEC : 0), MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TRY(memory);
    memcpy(memory, code, sizeof code);
    if (!strcmp(case_input(), "pkey"))
        TRY(syscall(SYS_pkey_mprotect, memory, 4096, PROT_READ | PROT_EXEC, -1));
    else if (!whole)
        TRY(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
    __builtin___clear_cache(memory, (char *)memory + sizeof code);
    return ((int (*)(void))memory)() == 42 ? 0 : ENOMSG;
}
