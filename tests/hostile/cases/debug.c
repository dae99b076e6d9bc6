/* Takes protections of the process away. */
#include "case.h"
#include <sys/personality.h>
#include <sys/prctl.h>

static int attempt(const char *data_dir)
{
    const char *word = case_input();
    (void)data_dir;
    if (!strcmp(word, "personality"))
        TRY(personality(ADDR_NO_RANDOMIZE));
#ifdef SYS_modify_ldt
    else if (!strcmp(word, "modify_ldt")) {
        char ldt[16];
        TRY(syscall(SYS_modify_ldt, 0, ldt, sizeof ldt));
    } else if (!strcmp(word, "arch_prctl")) {
        unsigned long base;
        TRY(syscall(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, &base));
    }
#endif
    else if (!strcmp(word, "filter"))
        TRY(prctl(PR_SET_SECCOMP, 1 /* strict */, 0) == 0 ? -1 : 0);
    else
        return ENOMSG;
    return 0;
}
