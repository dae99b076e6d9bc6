/* Files as the C library does them: buffered, appended, read back, asked whether they are terminals. */
#include "case.h"

static int attempt(const char *data_dir)
{
    char path[600], line[64], own[4096];
    snprintf(path, sizeof path, "%s/notes-%c.txt", data_dir, case_mode());
    FILE *file = fopen(path, "w");
    TRY(file ? 0 : -1);
    setvbuf(file, own, _IOFBF, sizeof own);
    for (int n = 0; n < 1000; n++)
        fprintf(file, "line %d of %s, %5.2f\n", n, "many", n / 3.0);
    if (isatty(fileno(file)) || isatty(0) || isatty(1))
        return ENOTTY;
    TRY(fflush(file));
    TRY(fclose(file));
    file = fopen(path, "a+");
    TRY(file ? 0 : -1);
    fputs("the end\n", file);
    TRY(fseek(file, -8, SEEK_END));
    if (!fgets(line, sizeof line, file) || strcmp(line, "the end\n"))
        return EILSEQ;
    rewind(file);
    if (!fgets(line, sizeof line, file) || strncmp(line, "line 0", 6))
        return EILSEQ;
    TRY(fclose(file));
    printf("what is printed goes to the log\n");
    fprintf(stderr, "and this too\n");
    fflush(stdout);
    FILE *temporary = tmpfile(); /* /tmp is not there: softly */
    if (temporary)
        fclose(temporary);
    return remove(path) ? errno : 0;
}
