/* Threads as libraries use them: names, keys with destructors, conditions, a barrier, detached ones. */
#include "case.h"
#include <sched.h>
#include <semaphore.h>
#include <time.h>

static pthread_key_t key;
static pthread_barrier_t barrier;
static _Atomic int destroyed, ran;
static __thread int local;
static sem_t done;

static void destroy(void *value)
{
    (void)value;
    destroyed++;
}

static void *work(void *number)
{
    pthread_setname_np(pthread_self(), "honest worker");
    pthread_setspecific(key, number);
    local = (int)(intptr_t)number;
    pthread_barrier_wait(&barrier);
    char *some = malloc(100000);
    memset(some, local, 100000);
    free(some);
    ran++;
    return number;
}

static void *alone(void *unused)
{
    sem_post(&done);
    return unused;
}

static int attempt(const char *data_dir)
{
    pthread_t threads[8], free_one;
    struct timespec soon;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    (void)data_dir;
    TRY(pthread_key_create(&key, destroy) ? -1 : 0);
    TRY(sem_init(&done, 0, 0));
    pthread_barrier_init(&barrier, NULL, 8);
    for (intptr_t n = 0; n < 8; n++) {
        int error = pthread_create(&threads[n], NULL, work, (void *)(n + 1));
        if (error)
            return error;
    }
    for (int n = 0; n < 8; n++)
        pthread_join(threads[n], NULL);
    if (ran != 8 || destroyed != 8 || local != 0)
        return EILSEQ;
    TRY(pthread_create(&free_one, NULL, alone, NULL) ? -1 : 0);
    pthread_detach(free_one);
    TRY(sem_wait(&done));
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 1000000;
    if (soon.tv_nsec >= 1000000000)
        soon.tv_sec++, soon.tv_nsec -= 1000000000;
    pthread_mutex_lock(&lock);
    int timed = pthread_cond_timedwait(&never, &lock, &soon);
    pthread_mutex_unlock(&lock);
    sched_yield();
    return timed == ETIMEDOUT && sysconf(_SC_NPROCESSORS_ONLN) > 0 ? 0 : EILSEQ;
}
