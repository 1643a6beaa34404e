#ifndef FT_WAIT_H
#define FT_WAIT_H

// Sleeping until a 32-bit word changes. Private to CKernels.

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#if defined(__linux__)

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
  char unused;
} ft_waiting_room;

static inline void ft_waiting_room_open(ft_waiting_room *room) { (void)room; }
static inline void ft_waiting_room_close(ft_waiting_room *room) { (void)room; }

/// Sleeps if the word still holds `value`; may return early.
static inline void ft_wait_while_equal(ft_waiting_room *room, _Atomic uint32_t *word,
                                       uint32_t value) {
  (void)room;
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static inline void ft_wake_all(ft_waiting_room *room, _Atomic uint32_t *word) {
  (void)room;
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

#else

typedef struct {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
} ft_waiting_room;

static inline void ft_waiting_room_open(ft_waiting_room *room) {
  pthread_mutex_init(&room->mutex, NULL);
  pthread_cond_init(&room->changed, NULL);
}

static inline void ft_waiting_room_close(ft_waiting_room *room) {
  pthread_cond_destroy(&room->changed);
  pthread_mutex_destroy(&room->mutex);
}

static inline void ft_wait_while_equal(ft_waiting_room *room, _Atomic uint32_t *word,
                                       uint32_t value) {
  pthread_mutex_lock(&room->mutex);
  while (atomic_load(word) == value) pthread_cond_wait(&room->changed, &room->mutex);
  pthread_mutex_unlock(&room->mutex);
}

static inline void ft_wake_all(ft_waiting_room *room, _Atomic uint32_t *word) {
  (void)word;
  pthread_mutex_lock(&room->mutex);
  pthread_cond_broadcast(&room->changed);
  pthread_mutex_unlock(&room->mutex);
}

#endif

#endif
