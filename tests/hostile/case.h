/*
 * A case: one thing that a hostile plugin tries. Its file defines `attempt`, which
 * returns 0 when the abuse WORKED, else the errno of the step that was refused.
 *
 * One library serves every way of running it. The harness patches two things into
 * `case_slot`: when the attempt is made, and the text it works on (`case_input`).
 *
 *   h  in handle: under both filters
 *   c  in the library's constructor: under the first filter alone
 *   t  on a thread that the constructor started, once handle is called
 *
 * `outside` (outside.c) does the same without a sandbox: the positive control.
 */
#ifndef MIDIMON_CASE_H
#define MIDIMON_CASE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <midimon_plugin.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the file defines. `data_dir` is empty without the grant. */
static int attempt(const char *data_dir);

static char case_slot[1200] __attribute__((used)) = "midimon-case-slot:h:";

/* The text this case works on. */
static inline const char *case_input(void)
{
    const char *slot = case_slot;
    __asm__("" : "+r"(slot)); /* the compiler must not know what is in there */
    return slot + sizeof "midimon-case-slot:h:" - 1;
}

static inline char case_mode(void)
{
    return case_input()[-2];
}

/* Leaves attempt with errno when a step fails. */
#define TRY(step)                          \
    do {                                   \
        if ((long)(step) == -1)            \
            return errno ? errno : ENOMSG; \
    } while (0)

/*
 * Runs a step. Outside in a process of its own, which is alone in it and takes what it changed with it; inside it
 * could not be made, and the step is refused where it is.
 */
static inline int case_apart(int (*step)(void));

static const midimon_host *case_host;
static char case_data_dir[512];
static int case_outside; /* this is the control */
static int case_result = -1;
static pthread_t case_thread;
static pthread_mutex_t case_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t case_called = PTHREAD_COND_INITIALIZER;
static int case_go;

static inline int case_apart(int (*step)(void))
{
    int status = 0;
    if (!case_outside)
        return step();
    pid_t child = fork();
    if (child == 0)
        _exit(step());
    TRY(child);
    TRY(waitpid(child, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

static void *case_wait(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&case_lock);
    while (!case_go)
        pthread_cond_wait(&case_called, &case_lock);
    pthread_mutex_unlock(&case_lock);
    case_result = attempt(case_data_dir);
    return NULL;
}

/* The loader hands a constructor the program's arguments; a worker's name its data directory. */
__attribute__((constructor)) static void case_construct(int argc, char **argv, char **environment)
{
    (void)environment;
    case_outside = argc > 1 && !strcmp(argv[argc - 1], "--outside");
    for (int n = 1; n + 1 < argc; n++)
        if (!strcmp(argv[n], "--data-dir"))
            snprintf(case_data_dir, sizeof case_data_dir, "%s", argv[n + 1]);
    if (case_mode() == 'c')
        case_result = attempt(case_data_dir);
    if (case_mode() == 't')
        pthread_create(&case_thread, NULL, case_wait, NULL);
}

/* Makes the attempt, or says how the one that was made went. */
MIDIMON_EXPORT int midimon_case_run(void)
{
    if (case_mode() == 'h')
        case_result = attempt(case_data_dir);
    if (case_mode() == 't' && case_thread) {
        pthread_mutex_lock(&case_lock);
        case_go = 1;
        pthread_cond_signal(&case_called);
        pthread_mutex_unlock(&case_lock);
        pthread_join(case_thread, NULL);
    }
    return case_result;
}

static void case_describe(midimon_metadata *metadata)
{
    static const midimon_str name = MIDIMON_STR("A case");
    metadata->name = name;
}

static int32_t case_init(const midimon_host *given, midimon_str settings, void **state)
{
    (void)settings;
    (void)state;
    case_host = given;
    return MIDIMON_OK;
}

static int32_t case_handle(void *state, const midimon_call *call)
{
    char text[32];
    midimon_str answer = {text, 0};
    (void)state;
    (void)call;
    int result = midimon_case_run();
    answer.len = (size_t)(result ? snprintf(text, sizeof text, "errno %d", result) : snprintf(text, sizeof text, "done"));
    case_host->answer(case_host, answer);
    return MIDIMON_OK;
}

#ifndef CASE_SHUTDOWN
#define CASE_SHUTDOWN case_shutdown
static void case_shutdown(void *state)
{
    (void)state;
}
#else
static void CASE_SHUTDOWN(void *state);
#endif

MIDIMON_EXPORT const midimon_plugin *midimon_plugin_v1(void)
{
    static const midimon_plugin plugin = {
        MIDIMON_ABI_VERSION, sizeof(midimon_plugin), case_describe, case_init, case_handle, CASE_SHUTDOWN,
    };
    return &plugin;
}

#endif
