#include "include/ft_pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

// Workers spin while the next job or barrier is likely to come within microseconds, then give the
// core away: at a barrier by yielding (the others may need this core), between jobs by sleeping on
// a condition variable, so that an idle engine costs nothing.

enum {
  CACHE_LINE = 64,
  BARRIER_SPINS = 2000,  // about 50 microseconds
  IDLE_SPINS = 4000,     // about 100 microseconds: a host samples a token in less
};

typedef struct {
  _Alignas(CACHE_LINE) _Atomic int32_t value;
} padded_counter;

struct ft_pool {
  padded_counter arrived;     // workers at the barrier
  padded_counter phase;       // counts finished barriers
  padded_counter generation;  // counts jobs
  padded_counter sleepers;
  ft_job job;
  void *context;
  _Atomic bool stopping;
  int32_t workers;
  int32_t threads_made;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  pthread_t *threads;
};

typedef struct {
  ft_pool *pool;
  int32_t worker;
} worker_start;

static inline void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

void ft_pool_barrier(ft_pool *pool) {
  if (pool->workers == 1) return;
  int32_t phase = atomic_load_explicit(&pool->phase.value, memory_order_acquire);
  int32_t arrived = 1 + atomic_fetch_add_explicit(&pool->arrived.value, 1, memory_order_acq_rel);
  if (arrived == pool->workers) {
    atomic_store_explicit(&pool->arrived.value, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->phase.value, phase + 1, memory_order_release);
    return;
  }
  for (int32_t spins = 0;
       atomic_load_explicit(&pool->phase.value, memory_order_acquire) == phase; ++spins) {
    if (spins < BARRIER_SPINS) {
      pause_briefly();
    } else {
      sched_yield();
    }
  }
}

static void wait_for_job(ft_pool *pool, int32_t seen) {
  for (int32_t spins = 0; spins < IDLE_SPINS; ++spins) {
    if (atomic_load_explicit(&pool->generation.value, memory_order_acquire) != seen) return;
    pause_briefly();
  }
  pthread_mutex_lock(&pool->mutex);
  atomic_fetch_add(&pool->sleepers.value, 1);
  while (atomic_load(&pool->generation.value) == seen) {
    pthread_cond_wait(&pool->wake, &pool->mutex);
  }
  atomic_fetch_sub(&pool->sleepers.value, 1);
  pthread_mutex_unlock(&pool->mutex);
}

static void announce_job(ft_pool *pool) {
  atomic_fetch_add(&pool->generation.value, 1);
  if (atomic_load(&pool->sleepers.value) > 0) {
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
  }
}

static void *worker_main(void *argument) {
  worker_start start = *(worker_start *)argument;
  free(argument);
  ft_pool *pool = start.pool;
  int32_t seen = 0;
  for (;;) {
    wait_for_job(pool, seen);
    ++seen;
    if (atomic_load(&pool->stopping)) return NULL;
    pool->job(pool->context, start.worker, pool->workers);
    ft_pool_barrier(pool);
  }
}

static bool start_worker(ft_pool *pool, int32_t worker) {
  worker_start *start = malloc(sizeof *start);
  if (!start) return false;
  *start = (worker_start){.pool = pool, .worker = worker};
  if (pthread_create(&pool->threads[pool->threads_made], NULL, worker_main, start) != 0) {
    free(start);
    return false;
  }
  ++pool->threads_made;
  return true;
}

ft_pool *ft_pool_create(int32_t workers) {
  if (workers < 1) return NULL;
  ft_pool *pool = NULL;
  if (posix_memalign((void **)&pool, CACHE_LINE, sizeof *pool) != 0) return NULL;
  *pool = (ft_pool){.workers = workers};
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->wake, NULL);
  pool->threads = calloc((size_t)workers, sizeof *pool->threads);
  bool started = pool->threads != NULL;
  for (int32_t worker = 1; started && worker < workers; ++worker) {
    started = start_worker(pool, worker);
  }
  if (!started) {
    ft_pool_destroy(pool);
    return NULL;
  }
  return pool;
}

void ft_pool_destroy(ft_pool *pool) {
  if (!pool) return;
  atomic_store(&pool->stopping, true);
  announce_job(pool);
  for (int32_t i = 0; i < pool->threads_made; ++i) pthread_join(pool->threads[i], NULL);
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->mutex);
  free(pool->threads);
  free(pool);
}

int32_t ft_pool_workers(const ft_pool *pool) { return pool->workers; }

void ft_pool_run(ft_pool *pool, ft_job job, void *context) {
  pool->job = job;
  pool->context = context;
  if (pool->workers > 1) announce_job(pool);
  job(context, 0, pool->workers);
  ft_pool_barrier(pool);
}
