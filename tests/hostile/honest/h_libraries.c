/* A system library asked for while loading, character sets, plugins of its own that are not there. */
#include "case.h"
#include <dlfcn.h>
#include <iconv.h>
#include <math.h>

static int attempt(const char *data_dir)
{
    (void)data_dir;
    void *mathematics = dlopen("libm.so.6", RTLD_NOW);
    if (mathematics) {
        double (*cosine)(double) = (double (*)(double))dlsym(mathematics, "cos");
        if (!cosine || fabs(cosine(0) - 1) > 1e-9)
            return EILSEQ;
    } else if (case_mode() == 'c')
        return ENOENT; /* while loading, libraries are there */
    if (dlopen("libmidimon-none.so", RTLD_NOW))
        return EILSEQ;
    iconv_t conversion = iconv_open("UTF-16", "UTF-8");
    if (conversion != (iconv_t)-1)
        iconv_close(conversion);
    return 0;
}
