#include "include/ft_pool.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "ft_wait.h"

// A stage's items lie in one range per worker, a 64-bit word {tag, begin, end}. The owner takes from
// the front, others single items from the end, each by one compare-and-swap; the tag counts stages,
// so that a worker that slept through one cannot take what is no longer there. Whoever holds an item
// keeps the stage open, so job, context and stage are valid for it, and for nobody else.
//
// The worker that does the last item prepares the next stage and writes the ranges. Nobody waits for
// workers, only for items: one that the system has descheduled while it was waiting costs nothing.

enum {
  CACHE_LINE = 64,
  // Pauses (20-40 ns each) before a worker sleeps: inside a job while another may be in its last
  // item, between jobs while the host samples a token.
  STAGE_SPINS = 2000,
  IDLE_SPINS = 4000,
  FEWEST_SPINS = 100,
  AHEAD_BYTES = 8192,
};

/// A worker that waited longer than this was right to sleep: another had lost its processor. A
/// shorter wait would have cost less awake, since waking takes 25 microseconds.
static const int64_t LONG_WAIT_NS = 200000;

typedef struct {
  _Alignas(CACHE_LINE) _Atomic uint64_t range;
  _Atomic int32_t delay;  // microseconds, see ft_pool_delay
  int32_t spins;          // before sleeping inside a job; fewer while waits prove to be long
  _Atomic int64_t stolen;
} worker_slot;

struct ft_pool {
  _Alignas(CACHE_LINE) _Atomic uint32_t epoch;  // changes whenever there is something to look at
  _Atomic uint32_t asleep;                      // somebody may sleep on `epoch`
  _Alignas(CACHE_LINE) _Atomic int32_t left;    // items of the stage that are not done
  _Atomic int32_t largest;                      // of the stage; 0: nobody takes others' items
  _Atomic bool running;
  _Atomic bool stopping;
  uint32_t tag;  // owned by whoever prepares stages
  ft_staged_job job;
  void *context;
  int32_t workers;
  int32_t threads_made;
  ft_waiting_room room;
  pthread_t *threads;
  worker_slot slots[];
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

static inline uint64_t pack(uint32_t tag, uint32_t begin, uint32_t end) {
  return (uint64_t)tag << 32 | begin << 16 | end;
}
static inline int32_t begin_of(uint64_t range) { return (int32_t)(range >> 16 & 0xFFFF); }
static inline int32_t end_of(uint64_t range) { return (int32_t)(range & 0xFFFF); }
static inline int32_t length_of(uint64_t range) { return end_of(range) - begin_of(range); }

// MARK: Taking items

typedef struct {
  int32_t begin;
  int32_t end;
} claim;

static inline bool replace(worker_slot *slot, uint64_t *seen, int32_t begin, int32_t end) {
  uint64_t wanted = pack((uint32_t)(*seen >> 32), (uint32_t)begin, (uint32_t)end);
  return atomic_compare_exchange_weak_explicit(&slot->range, seen, wanted, memory_order_acq_rel,
                                               memory_order_acquire);
}

/// Half of what is left of the worker's own part, so that the rest can be taken by others.
static bool claim_own(ft_pool *pool, worker_slot *slot, claim *taken) {
  uint64_t seen = atomic_load_explicit(&slot->range, memory_order_acquire);
  while (length_of(seen) > 0) {
    int32_t largest = atomic_load_explicit(&pool->largest, memory_order_relaxed);
    int32_t count = (length_of(seen) + 1) / 2;
    if (count > largest) count = largest > 0 ? largest : length_of(seen);
    *taken = (claim){begin_of(seen), begin_of(seen) + count};
    if (replace(slot, &seen, taken->end, end_of(seen))) return true;
  }
  return false;
}

/// The last item of the worker that has most left.
static bool claim_other(ft_pool *pool, int32_t worker, claim *taken) {
  for (;;) {
    worker_slot *victim = NULL;
    uint64_t seen = 0;
    for (int32_t i = 1; i < pool->workers; ++i) {
      worker_slot *slot = &pool->slots[(worker + i) % pool->workers];
      uint64_t range = atomic_load_explicit(&slot->range, memory_order_acquire);
      if (length_of(range) <= (victim ? length_of(seen) : 0)) continue;
      victim = slot;
      seen = range;
    }
    if (!victim || atomic_load_explicit(&pool->largest, memory_order_relaxed) == 0) return false;
    *taken = (claim){end_of(seen) - 1, end_of(seen)};
    if (replace(victim, &seen, begin_of(seen), taken->begin)) return true;
  }
}

static void sleep_microseconds(int32_t microseconds) {
  struct timespec left = {.tv_nsec = (long)microseconds * 1000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

/// Does items until none can be taken. Returns how many.
static int32_t work(ft_pool *pool, int32_t worker, const void **ahead) {
  worker_slot *slot = &pool->slots[worker];
  int32_t delay = atomic_load_explicit(&slot->delay, memory_order_relaxed);
  if (delay > 0) sleep_microseconds(delay);
  int32_t done = 0;
  claim taken;
  for (;;) {
    bool own = claim_own(pool, slot, &taken);
    if (!own && !claim_other(pool, worker, &taken)) break;
    pool->job.run(pool->context, worker, taken.begin, taken.end);
    done += taken.end - taken.begin;
    if (!own) atomic_fetch_add_explicit(&slot->stolen, 1, memory_order_relaxed);
  }
  if (done > 0 && pool->job.ahead) *ahead = pool->job.ahead(pool->context, worker);
  return done;
}

// MARK: From stage to stage

static void announce(ft_pool *pool) {
  atomic_fetch_add(&pool->epoch, 1);
  if (atomic_load(&pool->asleep) && atomic_exchange(&pool->asleep, 0)) {
    ft_wake_all(&pool->room, &pool->epoch);
  }
}

static void open_stage(ft_pool *pool, int32_t items, int32_t largest) {
  uint32_t tag = ++pool->tag;
  atomic_store_explicit(&pool->left, items, memory_order_relaxed);
  atomic_store_explicit(&pool->largest, largest, memory_order_relaxed);
  for (int32_t i = 0; i < pool->workers; ++i) {
    uint32_t begin = (uint32_t)((int64_t)items * i / pool->workers);
    uint32_t end = (uint32_t)((int64_t)items * (i + 1) / pool->workers);
    atomic_store_explicit(&pool->slots[i].range, pack(tag, begin, end), memory_order_release);
  }
  announce(pool);
}

/// Opens the next stage, or ends the job.
static void advance(ft_pool *pool, int32_t worker) {
  ft_stage stage = {0};
  if (pool->job.next(pool->context, worker, &stage)) {
    open_stage(pool, stage.items, stage.largest);
  } else {
    atomic_store_explicit(&pool->running, false, memory_order_release);
    announce(pool);
  }
}

/// Works on the present stage, and opens the next one after its last item. Returns whether there
/// was anything to do.
static bool take_part(ft_pool *pool, int32_t worker) {
  const void *ahead = NULL;
  int32_t done = work(pool, worker, &ahead);
  if (done == 0) return false;
  if (atomic_fetch_sub_explicit(&pool->left, done, memory_order_acq_rel) == done) {
    advance(pool, worker);
  } else if (ahead) {
    // The memory would idle until the last item is done. A prefetch never faults.
    for (int32_t i = 0; i < AHEAD_BYTES; i += CACHE_LINE) {
      __builtin_prefetch((const char *)ahead + i, 0, 2);
    }
  }
  return true;
}

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void sleep_until_change(ft_pool *pool, uint32_t seen) {
  while (atomic_load(&pool->epoch) == seen) {
    atomic_store(&pool->asleep, 1);
    ft_wait_while_equal(&pool->room, &pool->epoch, seen);
  }
}

static void wait_for_change(ft_pool *pool, worker_slot *slot, uint32_t seen) {
  bool running = atomic_load_explicit(&pool->running, memory_order_relaxed);
  int32_t limit = running ? slot->spins : IDLE_SPINS;
  for (int32_t spins = 0; spins < limit; ++spins) {
    if (atomic_load_explicit(&pool->epoch, memory_order_acquire) != seen) return;
    pause_briefly();
  }
  int64_t before = nanoseconds();
  sleep_until_change(pool, seen);
  if (!running) return;
  // Many a wait on a busy machine is long, and spinning takes time from those waited for.
  bool was_long = nanoseconds() - before > LONG_WAIT_NS;
  slot->spins = was_long ? slot->spins / 2 : STAGE_SPINS;
  if (slot->spins < FEWEST_SPINS) slot->spins = FEWEST_SPINS;
}

static void *worker_main(void *argument) {
  worker_start start = *(worker_start *)argument;
  free(argument);
  ft_pool *pool = start.pool;
  for (;;) {
    uint32_t seen = atomic_load_explicit(&pool->epoch, memory_order_acquire);
    if (atomic_load_explicit(&pool->stopping, memory_order_relaxed)) return NULL;
    if (!take_part(pool, start.worker)) wait_for_change(pool, &pool->slots[start.worker], seen);
  }
}

// MARK: Jobs

static void run_alone(const ft_staged_job *job, void *context) {
  ft_stage stage = {0};
  while (job->next(context, 0, &stage)) job->run(context, 0, 0, stage.items);
}

/// The caller's part of a job whose first stage is open.
static void finish_job(ft_pool *pool) {
  for (;;) {
    uint32_t seen = atomic_load_explicit(&pool->epoch, memory_order_acquire);
    if (!atomic_load_explicit(&pool->running, memory_order_acquire)) return;
    if (!take_part(pool, 0)) wait_for_change(pool, &pool->slots[0], seen);
  }
}

void ft_pool_run_stages(ft_pool *pool, const ft_staged_job *job, void *context) {
  if (pool->workers == 1) {
    run_alone(job, context);
    return;
  }
  pool->job = *job;
  pool->context = context;
  atomic_store_explicit(&pool->running, true, memory_order_relaxed);
  advance(pool, 0);
  finish_job(pool);
}

typedef struct {
  ft_job job;
  void *context;
  int32_t workers;
} plain_job;

static void run_plain(void *context, int32_t worker, int32_t begin, int32_t end) {
  (void)worker;
  const plain_job *plain = context;
  for (int32_t i = begin; i < end; ++i) plain->job(plain->context, i, plain->workers);
}

static bool end_plain(void *context, int32_t worker, ft_stage *stage) {
  (void)context, (void)worker, (void)stage;
  return false;
}

void ft_pool_run(ft_pool *pool, ft_job job, void *context) {
  plain_job plain = {job, context, pool->workers};
  if (pool->workers == 1) {
    job(context, 0, 1);
    return;
  }
  pool->job = (ft_staged_job){.next = end_plain, .run = run_plain};
  pool->context = &plain;
  atomic_store_explicit(&pool->running, true, memory_order_relaxed);
  open_stage(pool, pool->workers, 0);
  finish_job(pool);
}

int64_t ft_pool_stolen(const ft_pool *pool) {
  int64_t stolen = 0;
  for (int32_t i = 0; i < pool->workers; ++i) {
    stolen += atomic_load_explicit(&pool->slots[i].stolen, memory_order_relaxed);
  }
  return stolen;
}

void ft_pool_delay(ft_pool *pool, int32_t worker, int32_t microseconds) {
  if (worker < 0 || worker >= pool->workers) return;
  atomic_store_explicit(&pool->slots[worker].delay, microseconds, memory_order_relaxed);
}

// MARK: Life

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
  size_t bytes = sizeof *pool + (size_t)workers * sizeof(worker_slot);
  if (posix_memalign((void **)&pool, CACHE_LINE, bytes) != 0) return NULL;
  *pool = (ft_pool){.workers = workers};
  for (int32_t i = 0; i < workers; ++i) pool->slots[i] = (worker_slot){.spins = STAGE_SPINS};
  ft_waiting_room_open(&pool->room);
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
  announce(pool);
  for (int32_t i = 0; i < pool->threads_made; ++i) pthread_join(pool->threads[i], NULL);
  ft_waiting_room_close(&pool->room);
  free(pool->threads);
  free(pool);
}

int32_t ft_pool_workers(const ft_pool *pool) { return pool->workers; }
