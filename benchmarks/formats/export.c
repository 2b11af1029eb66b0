/* SPDX-License-Identifier: MIT */
/* Time to write a profile in each format, and to read it back where that is possible: into memory and by the whole function a user calls.
 * Prints CPU ns per node, the best of several rounds, and the most memory that a process has which holds the profile and writes it to a
 * file. Arguments: nodes (100000), functions (5000), depth (40). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "formats/format.h"
#include "support/profiles.h"

enum { ROUNDS = 7 };

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* memory only, nothing waits: other programs on the machine should not count */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double best_write(const hp_profile *profile, const hp_format *format, hp_sink **kept) {
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        hp_error error = {0};
        hp_sink_free(*kept);
        *kept = NULL;
        if (hp_sink_memory(kept) != HP_OK)
            exit(1);
        double start = now_ns();
        if (format->write(*kept, profile, &error) != HP_OK) {
            fprintf(stderr, "%s: %s\n", format->name, error.text);
            exit(1);
        }
        double took = now_ns() - start;
        best = took < best ? took : best;
    }
    return best;
}

/* In a process of its own, whose high-water mark begins with what it has from us: the profile. */
static long resident_mb(const hp_profile *profile, const hp_format *format) {
    int status = 0;
    struct rusage used = {0};
    pid_t child = fork();
    if (child == 0) {
        hp_sink *sink = NULL;
        hp_error error = {0};
        int descriptor = open("/dev/null", O_WRONLY | O_CLOEXEC);
        _exit(descriptor >= 0 && hp_sink_descriptor(&sink, descriptor) == HP_OK && format->write(sink, profile, &error) == HP_OK ? 0 : 1);
    }
    if (child < 0 || wait4(child, &status, 0, &used) != child || status != 0) {
        fprintf(stderr, "%s: its memory could not be measured\n", format->name);
        exit(1);
    }
    return used.ru_maxrss / 1024;
}

static double best_read(const hp_format *format, const uint8_t *bytes, size_t size) {
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        hp_profile *profile = NULL;
        hp_error error = {0};
        double start = now_ns();
        if (format->read(bytes, size, &profile, &error) != HP_OK) {
            fprintf(stderr, "%s: %s\n", format->name, error.text);
            exit(1);
        }
        double took = now_ns() - start;
        best = took < best ? took : best;
        hp_profile_free(profile);
    }
    return best;
}

static uint32_t argument(int count, char **arguments, int at, uint32_t otherwise) {
    return count > at ? (uint32_t)strtoul(arguments[at], NULL, 10) : otherwise;
}

int main(int count, char **arguments) {
    uint32_t nodes = argument(count, arguments, 1, 100000), functions = argument(count, arguments, 2, 5000);
    uint32_t depth = argument(count, arguments, 3, 40);
    hp_profile *profile = hp_fixture_random(1, nodes, functions, depth, 4);
    nodes = profile->tree.count;
    printf("%u nodes, %u functions, %u edges, %u deep at most; best of %d\n", nodes, profile->row_count, profile->edge_count, depth,
           ROUNDS);
    printf("%-10s %12s %10s %10s %10s %12s %10s\n", "format", "bytes", "write ms", "ns/node", "peak MB", "read ms", "MB/s");
    for (size_t i = 0; hp_formats[i] != NULL; i++) {
        hp_sink *sink = NULL;
        size_t size = 0;
        if (hp_formats[i]->write == NULL)
            continue;
        double write = best_write(profile, hp_formats[i], &sink);
        const uint8_t *bytes = hp_sink_bytes(sink, &size);
        printf("%-10s %12zu %10.2f %10.1f %10ld", hp_formats[i]->name, size, write / 1e6, write / nodes,
               resident_mb(profile, hp_formats[i]));
        if (hp_formats[i]->read != NULL) {
            double read = best_read(hp_formats[i], bytes, size);
            printf(" %12.2f %10.1f", read / 1e6, (double)size / read * 1e3);
        }
        printf("\n");
        hp_sink_free(sink);
    }
    hp_profile_free(profile);
    return 0;
}
