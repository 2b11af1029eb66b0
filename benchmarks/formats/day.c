/* SPDX-License-Identifier: MIT */
/* What a long session costs in a file: `day [HOURS [RATE [THREADS [STACKS [SECONDS [MEGABYTES]]]]]]` plays a process whose threads are busy
 * all the time, sampled RATE times a second and thread, appends to a stream every SECONDS as `hybridprof run` does, and reads the file
 * back. The default is a day at 100 Hz with 8 threads, 250 stacks of each. MEGABYTES: the file is never made compact, and it ends when the
 * file has that size.
 *
 * The file holds counts by stack and by line, not samples in the order of time: an append names each stack that was met since the last
 * once, however often it was met. */
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../tests/c/hyprof_samples.h"

enum { FUNCTIONS = 3000, DEPTH = 20, PLACES = 3 };

typedef struct day {
    double hours;
    uint32_t rate, threads, stacks, seconds;
    double megabytes;
} day;

typedef struct stack {
    uint32_t leaf;
    uint32_t functions[DEPTH];
} stack;

static double seconds_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(hp_status status, const hp_error *error) {
    if (status == HP_OK)
        return;
    fprintf(stderr, "%s\n", error->text[0] != '\0' ? error->text : "memory is short");
    exit(1);
}

/* Stacks of a program share their outer frames: each branches off a random place of one that was there before. */
static stack *make_stacks(hp_profile *profile, const day *d, uint64_t *random) {
    stack *stacks = calloc((size_t)d->threads * d->stacks, sizeof *stacks);
    for (uint32_t i = 0; stacks != NULL && i < d->threads * d->stacks; i++) {
        uint32_t thread = i / d->stacks, first = thread * d->stacks;
        const stack *before = &stacks[i == first ? i : first + (uint32_t)(sample_random(random) % (i - first))];
        uint32_t shared = i == first ? 0 : (uint32_t)(sample_random(random) % DEPTH);
        stacks[i].leaf = profile->threads[thread].root;
        for (uint32_t level = 0; level < DEPTH; level++) {
            stacks[i].functions[level] =
                level < shared ? before->functions[level] : sample_function(profile, (uint32_t)(sample_random(random) % FUNCTIONS));
            stacks[i].leaf = hp_tree_child(&profile->tree, stacks[i].leaf, stacks[i].functions[level]);
        }
    }
    return stacks;
}

/* Few stacks are met often. */
static void take_sample(hp_profile *profile, const day *d, const stack *stacks, uint32_t thread, uint64_t *random) {
    double place = (double)(sample_random(random) >> 11) * 0x1p-53;
    const stack *one = &stacks[thread * d->stacks + (uint32_t)(place * place * place * d->stacks)];
    uint64_t ns = 1000000000 / d->rate - 50000 + sample_random(random) % 100000;
    hp_node *leaf = &profile->tree.nodes[one->leaf];
    leaf->samples++;
    leaf->sampled += ns;
    profile->threads[thread].samples++;
    profile->threads[thread].sampled_ns += ns;
    profile->threads[thread].measured_ns += ns;
    hp_line line = {one->leaf, 10 + (uint32_t)(sample_random(random) % PLACES), (hp_thread_state)1, 1, ns};
    hp_error none = {0};
    check(hp_profile_add_line(profile, &line), &none);
    for (uint32_t level = 0; level < DEPTH; level++) {
        bool last = level + 1 == DEPTH;
        hp_estimate estimate = {.thread = thread,
                                .function = one->functions[level],
                                .self_samples = last,
                                .self_runs = last,
                                .total_samples = 1,
                                .total_runs = sample_random(random) % (level + 2) != 0 ? 0 : 1};
        check(hp_profile_add_estimate(profile, &estimate), &none);
    }
}

static double size_of(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 ? (double)info.st_size : 0;
}

/* Returns how many samples went into the file. */
static uint64_t play(const day *d, const char *path) {
    hp_profile *profile = NULL;
    hp_hyprof_stream *stream = NULL;
    hp_error error = {0};
    hp_sample_shape shape = {
        .seed = 1, .stacks = 1, .functions = FUNCTIONS, .threads = d->threads, .depth = DEPTH, .main_name = "MainThread"};
    uint64_t random = 1, appends = (uint64_t)(d->hours * 3600 / d->seconds), samples = 0, done = 0;
    double spent = 0, worst = 0, longest = 0;
    uint32_t compacted = 0;
    profile = sample_profile(&shape);
    stack *stacks = profile == NULL ? NULL : make_stacks(profile, d, &random);
    check(stacks == NULL ? HP_NO_MEMORY : hp_hyprof_open(&stream, path, &error), &error);
    if (d->megabytes > 0)
        hp_hyprof_compact_above(stream, UINT64_MAX);
    for (; done < appends && (d->megabytes == 0 || size_of(path) < d->megabytes * 1e6); done++) {
        for (uint32_t i = 0; i < d->rate * d->seconds; i++)
            for (uint32_t thread = 0; thread < d->threads; thread++, samples++)
                take_sample(profile, d, stacks, thread, &random);
        profile->meta.duration_ns += (uint64_t)d->seconds * 1000000000;
        profile->meta.samples_kept = samples;
        double before = seconds_of(CLOCK_PROCESS_CPUTIME_ID), size = size_of(path);
        check(hp_hyprof_append(stream, profile, &error), &error);
        hp_hyprof_rest(stream, -1); /* the disk has a second for it */
        double took = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - before;
        spent += took;
        worst = took > worst && done != 0 ? took : worst; /* the first one writes what later ones only refer to */
        longest = size_of(path) > longest ? size_of(path) : longest;
        compacted += size_of(path) < size;
    }
    check(hp_hyprof_close(stream, true, &error), &error);
    printf("%u nodes; %llu appends of %u s: %.2f ms of CPU time each, at most %.1f ms\n", profile->tree.count, (unsigned long long)done,
           d->seconds, spent * 1e3 / (double)(done != 0 ? done : 1), worst * 1e3);
    printf("made compact %u times; after an append the file had at most %.2f MB\n", compacted, longest / 1e6);
    free(stacks);
    hp_profile_free(profile);
    return samples;
}

static long resident_mb(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_maxrss / 1024;
}

/* As `hybridprof.load` does. */
static void load(const char *path) {
    hp_profile *profile = NULL;
    hp_error error = {0};
    long before = resident_mb();
    double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID), wall = seconds_of(CLOCK_MONOTONIC);
    check(hp_import(path, HP_IMPORT_ALL, &profile, &error), &error);
    cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("loaded in %.2f s of CPU time (%.2f s on the wall): %.1f MB/s; memory grew by %ld MB at most\n", cpu,
           seconds_of(CLOCK_MONOTONIC) - wall, size_of(path) / 1e6 / cpu, resident_mb() - before);
    hp_profile_free(profile);
}

static double argument(int count, char **arguments, int at, double otherwise) {
    return count > at ? strtod(arguments[at], NULL) : otherwise;
}

int main(int count, char **arguments) {
    day d = {.hours = argument(count, arguments, 1, 24),
             .rate = (uint32_t)argument(count, arguments, 2, 100),
             .threads = (uint32_t)argument(count, arguments, 3, 8),
             .stacks = (uint32_t)argument(count, arguments, 4, 250),
             .seconds = (uint32_t)argument(count, arguments, 5, 1),
             .megabytes = argument(count, arguments, 6, 0)};
    char path[] = "/tmp/hyprof-day-XXXXXX";
    int descriptor = mkstemp(path);
    if (descriptor < 0 || d.rate == 0 || d.threads == 0 || d.stacks == 0 || d.seconds == 0) {
        fputs("usage: day [HOURS [RATE [THREADS [STACKS [SECONDS [MEGABYTES]]]]]], all above 0\n", stderr);
        return 2;
    }
    close(descriptor);
    double samples = (double)play(&d, path), size = size_of(path);
    printf("%.0f samples in %.2f MB: %.2f bytes a sample\n", samples, size / 1e6, size / (samples > 0 ? samples : 1));
    load(path);
    unlink(path);
    return 0;
}
