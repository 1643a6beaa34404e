#ifndef FT_POOL_H
#define FT_POOL_H

#include <stdint.h>

/// A fixed set of worker threads, made once per engine. The calling thread is worker 0.
typedef struct ft_pool ft_pool;

/// What every worker runs: `worker` counts from 0 to `workers` - 1.
typedef void (*ft_job)(void *context, int32_t worker, int32_t workers);

/// Creates a pool of `workers` threads, the caller of `ft_pool_run` included (1 makes no thread).
/// Returns NULL if a thread could not be made.
ft_pool *ft_pool_create(int32_t workers);
void ft_pool_destroy(ft_pool *pool);
int32_t ft_pool_workers(const ft_pool *pool);

/// Runs `job` once on every worker and returns when all are done. One call at a time.
void ft_pool_run(ft_pool *pool, ft_job job, void *context);

/// Waits, inside a job, until every worker of the pool has come here.
void ft_pool_barrier(ft_pool *pool);

#endif
