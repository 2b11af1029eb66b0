/* SPDX-License-Identifier: MIT */
/* To be preloaded: refuses memory to hybridprof's extension, and to the libraries that it writes files with, in whatever thread; the
 * interpreter gets all it wants. Who asks is told by the return address.
 *
 * shim_arm(N, COUNT): of their allocations from now on, COUNT (0: all) fail from the Nth on; N = 0: none. shim_asked() tells how many there
 * were since. shim_pages(1): only mmap and mremap count, which are few and come late (csrc/base/pages.c). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

enum { RANGES = 16 };
static struct {
    uintptr_t low, high;
} ranges[RANGES]; /* written before `first` is set, by the one thread that arms */
static int range_count;
static atomic_long first, count, asked;
static atomic_bool pages;

static bool is_ours(const char *name) {
    return strstr(name, "/_core.") != NULL || strstr(name, "/libmsgpack") != NULL || strstr(name, "/libz.so") != NULL;
}

static int note_library(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size, (void)data;
    for (int i = 0; is_ours(info->dlpi_name) && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X) || range_count == RANGES)
            continue;
        ranges[range_count].low = info->dlpi_addr + segment->p_vaddr;
        ranges[range_count].high = ranges[range_count].low + segment->p_memsz;
        range_count++;
    }
    return 0;
}

int shim_arm(long from, long how_many) {
    atomic_store(&first, 0);
    range_count = 0;
    dl_iterate_phdr(note_library, NULL);
    atomic_store(&asked, 0);
    atomic_store(&count, how_many);
    atomic_store(&first, from);
    return range_count;
}

long shim_asked(void) {
    return atomic_load(&asked);
}

void shim_pages(int only) {
    atomic_store(&pages, only != 0);
}

static bool refuse_any(void *caller) {
    long from = atomic_load(&first), many = atomic_load(&count);
    bool ours = false;
    for (int i = 0; from != 0 && i < range_count; i++)
        ours |= (uintptr_t)caller >= ranges[i].low && (uintptr_t)caller < ranges[i].high;
    if (!ours)
        return false;
    long number = atomic_fetch_add(&asked, 1) + 1;
    if (number < from || (many != 0 && number >= from + many))
        return false;
    errno = ENOMEM;
    return true;
}

static bool refuse(void *caller) {
    return !atomic_load(&pages) && refuse_any(caller);
}

void *mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
    if (refuse_any(__builtin_return_address(0)))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, size, protection, flags, file, offset);
}

void *mremap(void *old, size_t old_size, size_t size, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    void *at = (flags & MREMAP_FIXED) != 0 ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    if (refuse_any(__builtin_return_address(0)))
        return MAP_FAILED;
    return (void *)syscall(SYS_mremap, old, old_size, size, flags, at);
}

void *malloc(size_t size) {
    return refuse(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    return refuse(__builtin_return_address(0)) ? NULL : __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
    return refuse(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}

/* What the C library allocates for us. */
char *strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = refuse(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
    return copy == NULL ? NULL : memcpy(copy, text, size);
}

char *strndup(const char *text, size_t limit) {
    size_t size = strnlen(text, limit);
    char *copy = refuse(__builtin_return_address(0)) ? NULL : __libc_malloc(size + 1);
    if (copy == NULL)
        return NULL;
    copy[size] = '\0';
    return memcpy(copy, text, size);
}

int asprintf(char **out, const char *format, ...) {
    va_list arguments;
    if (refuse(__builtin_return_address(0)))
        return -1;
    va_start(arguments, format);
    int size = vasprintf(out, format, arguments);
    va_end(arguments);
    return size;
}

FILE *open_memstream(char **text, size_t *size) {
    typedef FILE *(*opener)(char **, size_t *);
    if (refuse(__builtin_return_address(0)))
        return NULL;
    return ((opener)dlsym(RTLD_NEXT, "open_memstream"))(text, size);
}

FILE *fopen(const char *path, const char *mode) {
    typedef FILE *(*opener)(const char *, const char *);
    if (refuse(__builtin_return_address(0)))
        return NULL;
    return ((opener)dlsym(RTLD_NEXT, "fopen"))(path, mode);
}
