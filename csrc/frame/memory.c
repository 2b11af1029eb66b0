/* SPDX-License-Identifier: MIT */
/* Why a plain read of a data-stack chunk cannot fault: every chunk comes from the arena allocator, which we wrap. A chunk is forgotten
 * (under the gate, so after any walk in progress) before it is unmapped. Everything else is copied by the kernel.
 *
 * A signal handler for SIGSEGV would be shorter; it broke programs that have their own (faulthandler, torch, CUDA). A pipe or memfd as
 * the kernel's detour would be faster than process_vm_readv, but a program that closes descriptors it does not know (every daemon) may
 * get the number back for a file of its own, into which we would then write. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/uio.h>
#include <unistd.h>

#include "frame/description.h"
#include "frame/frame.h"
#include "frame/load.h"
#include "frame/ranges.h"

/* Process-wide like the allocator itself. Written once with the GIL held, before the wrapper is installed. */
static PyObjectArenaAllocator base;
static bool installed, forks_watched;

static void *arena_alloc(void *context, size_t size) {
    (void)context;
    void *arena = base.alloc(base.ctx, size);
    if (arena != NULL)
        hp_range_add((uintptr_t)arena, size);
    return arena;
}

static void arena_free(void *context, void *arena, size_t size) {
    (void)context;
    hp_range_remove((uintptr_t)arena);
    base.free(base.ctx, arena, size);
}

/* While another allocator is in our place it may free what we know without a word to us, and give the place back later: then nothing that
 * we knew is true any more. Owner: the sampler thread, or whoever starts it while it does not run. */
static bool passed_over;

bool hp_memory_outermost(void) {
    PyObjectArenaAllocator now;
    PyObject_GetArenaAllocator(&now); /* copies three words; needs no GIL */
    return now.alloc == arena_alloc && now.free == arena_free;
}

bool hp_memory_watched(void) {
    if (!hp_memory_outermost()) {
        passed_over = true;
        return false;
    }
    if (passed_over)
        hp_range_forget_all(); /* what was there before is read through the kernel from now on */
    passed_over = false;
    return true;
}

/* For systems that refuse process_vm_readv, as some containers' policies do: without it no code object could be confirmed and every sample
 * would be unresolved. Takes 3.5 times as long. Opened anew each time, so that a program that closes all descriptors meets ours only if it
 * does so within these microseconds; and we only read. */
static bool copy_by_file(void *to, uintptr_t from, size_t size) {
    int file = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    bool copied = pread(file, to, size, (off_t)from) == (ssize_t)size;
    close(file);
    return copied;
}

bool hp_memory_copy(void *to, uintptr_t from, size_t size) {
    struct iovec local = {.iov_base = to, .iov_len = size};
    struct iovec remote = {.iov_base = (void *)from, .iov_len = size}; // NOLINT(performance-no-int-to-ptr)
    if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size)
        return true;
    return (errno == EPERM || errno == EACCES || errno == ENOSYS) && copy_by_file(to, from, size);
}

/* Head lock and gate held: a chunk that is in a list now cannot be unmapped before we let go, so registering it is sound even while its
 * thread runs under a GIL of its own. Returns how many did not fit. */
static size_t register_chunks(const hp_state *state) {
    const hp_description *d = &hp_description_here;
    size_t missing = 0;
    uintptr_t chunk = hp_load_word(state->address + d->state_chunk);
    while (chunk != 0) {
        uintptr_t words[3]; /* previous, size, top */
        if (!hp_memory_copy(words, chunk, sizeof words))
            break;
        missing += !hp_range_add_locked(chunk, words[d->chunk_size / sizeof(uintptr_t)]);
        chunk = words[d->chunk_previous / sizeof(uintptr_t)];
    }
    return missing;
}

/* [GIL] of the main interpreter, so that its list of arenas holds still. Objects made before the sampler came lie there: generators and
 * tasks. Returns how many did not fit. */
static size_t register_arenas(void) {
    const hp_description *d = &hp_description_here;
    uintptr_t allocator = (uintptr_t)PyInterpreterState_Main() + d->allocator;
    size_t missing = 0;
    if (d->arena_size == 0 || PyInterpreterState_Get() != PyInterpreterState_Main())
        return 0;
    if (d->allocator_is_pointer)
        allocator = hp_load_word(allocator);
    uintptr_t list = allocator == 0 ? 0 : hp_load_word(allocator + d->arenas);
    unsigned count = list == 0 ? 0 : (unsigned)hp_load_int(allocator + d->arena_count);
    hp_memory_lock();
    for (unsigned i = 0; i < count; i++) {
        uintptr_t arena = hp_load_word(list + i * d->arena_step + d->arena_address);
        missing += arena != 0 && !hp_range_add_locked(arena, d->arena_size);
    }
    hp_memory_unlock();
    return missing;
}

static bool head_lock_patiently(void) {
    for (int tries = 0; tries < 1000; tries++) {
        if (hp_states_try_lock())
            return true;
        sched_yield();
    }
    return false;
}

static size_t register_known_chunks(hp_state *states, uint32_t capacity) {
    size_t missing = 0;
    if (!head_lock_patiently())
        return 0; /* what stays unknown is read through the kernel */
    uint32_t count = hp_states_list(states, capacity);
    hp_memory_lock();
    for (uint32_t i = 0; i < count && i < capacity; i++)
        missing += register_chunks(&states[i]);
    hp_memory_unlock();
    hp_states_unlock();
    return count > capacity ? missing + count - capacity : missing;
}

static size_t register_known(hp_state *states, uint32_t capacity) {
    return register_arenas() + register_known_chunks(states, capacity);
}

/* A fork in the middle of an insertion would leave the child a half-moved list. */
hp_status hp_memory_watch_forks(hp_error *error) {
    if (!forks_watched && pthread_atfork(hp_memory_lock, hp_memory_unlock, hp_memory_after_fork) != 0)
        return hp_fail(error, HP_NO_MEMORY, 0, "not enough memory to watch for forks");
    forks_watched = true;
    return HP_OK;
}

hp_status hp_memory_watch(hp_error *error) {
    enum { STATES = 1024 };
    hp_status watched = installed ? HP_OK : hp_memory_watch_forks(error);
    if (installed || watched != HP_OK)
        return watched;
    hp_state *states = malloc(STATES * sizeof *states);
    if (states == NULL || !hp_range_reserve(256)) {
        free(states);
        return hp_fail(error, HP_NO_MEMORY, 0, "not enough memory for the sampler's list of stack chunks");
    }
    PyObject_GetArenaAllocator(&base);
    PyObjectArenaAllocator ours = {NULL, arena_alloc, arena_free};
    PyObject_SetArenaAllocator(&ours);
    installed = true;
    size_t missing = register_known(states, STATES);
    if (missing > 0 && hp_range_reserve(missing))
        register_known(states, STATES);
    free(states);
    return HP_OK;
}
