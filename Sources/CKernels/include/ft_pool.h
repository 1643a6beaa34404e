#ifndef FT_POOL_H
#define FT_POOL_H

#include <stdbool.h>
#include <stdint.h>

/// A fixed set of worker threads, made once per engine. The calling thread is worker 0.
typedef struct ft_pool ft_pool;

/// What every worker runs: `worker` counts from 0 to `workers` - 1.
typedef void (*ft_job)(void *context, int32_t worker, int32_t workers);

/// Most items of a stage.
#define FT_MAX_ITEMS 65535

/// Work of one stage: items that may be done in any order and by any worker. Every worker begins
/// with its own contiguous part; one that is through takes single items from the end of others'.
typedef struct ft_stage {
  int32_t items;    // 1 ... FT_MAX_ITEMS
  int32_t largest;  // most items that a worker takes of its own part at once, at least 1
} ft_stage;

/// A job in stages. A stage begins when all items of the one before are done, not when all workers
/// have come: a worker that the system has descheduled between two items holds nobody up.
typedef struct ft_staged_job {
  /// Prepares the next stage; false after the last. Called by one worker at a time, `worker`, when
  /// nothing else of the job runs: short serial work is best done here.
  bool (*next)(void *context, int32_t worker, ft_stage *stage);
  /// Does items [begin, end) of the present stage. No two calls with the same `worker` overlap.
  void (*run)(void *context, int32_t worker, int32_t begin, int32_t end);
  /// What `worker` is likely to read first in the next stage, NULL if unknown. May be NULL.
  const void *(*ahead)(void *context, int32_t worker);
} ft_staged_job;

/// Creates a pool of `workers` threads, the caller of `ft_pool_run` included (1 makes no thread).
/// Returns NULL if a thread could not be made.
ft_pool *ft_pool_create(int32_t workers);
void ft_pool_destroy(ft_pool *pool);
int32_t ft_pool_workers(const ft_pool *pool);

/// Processors that this process may run on at once: its affinity, and on Linux the quota of its
/// control group; at least 1.
int32_t ft_available_processors(void);

/// Runs `job` once on every worker and returns when all are done. One call at a time.
void ft_pool_run(ft_pool *pool, ft_job job, void *context);

/// Runs all stages of `job` and returns when they are done. One call at a time. Nothing is
/// allocated.
void ft_pool_run_stages(ft_pool *pool, const ft_staged_job *job, void *context);

/// Items done by a worker that they did not belong to, since the pool was made.
int64_t ft_pool_stolen(const ft_pool *pool);

/// Makes `worker` sleep for `microseconds` before it takes its first items of every stage, so that
/// tests see the others steal. 0 ends it.
void ft_pool_delay(ft_pool *pool, int32_t worker, int32_t microseconds);

#endif
