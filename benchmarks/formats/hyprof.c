/* SPDX-License-Identifier: MIT */
/* How fast and how small the native format is: `hyprof [NODES]` makes a profile of about so many nodes, writes it, reads it, and appends it
 * to a stream as it grows. Best of five, CPU time: what a busy neighbour takes does not count. */
#include <time.h>
#include <unistd.h>

#include "../../tests/c/hyprof_samples.h"

static double cpu_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void fail(const char *what, const hp_error *error) {
    fprintf(stderr, "%s: %s\n", what, error->text);
    exit(1);
}

static double time_write(const hp_profile *profile, size_t *size) {
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        double before = cpu_ms();
        free(sample_encode(profile, size));
        best = cpu_ms() - before < best ? cpu_ms() - before : best;
    }
    return best;
}

static double time_read(const uint8_t *bytes, size_t size) {
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        hp_profile *profile = NULL;
        hp_error error = {0};
        double before = cpu_ms();
        if (hp_format_hyprof.read(bytes, size, &profile, &error) != HP_OK)
            fail("reading", &error);
        best = cpu_ms() - before < best ? cpu_ms() - before : best;
        hp_profile_free(profile);
    }
    return best;
}

/* Ten snapshots of a growing session. */
static void time_stream(hp_sample_shape shape) {
    char path[] = "/tmp/hyprof-bench-XXXXXX";
    hp_hyprof_stream *stream = NULL;
    hp_error error = {0};
    double last = 0;
    int descriptor = mkstemp(path);
    uint32_t stacks = shape.stacks;
    if (descriptor < 0 || hp_hyprof_open(&stream, path, &error) != HP_OK)
        fail("opening", &error);
    for (uint32_t step = 1; step <= 10; step++) {
        shape.stacks = stacks / 10 * step;
        hp_profile *profile = sample_profile(&shape);
        double before = cpu_ms();
        if (hp_hyprof_append(stream, profile, &error) != HP_OK)
            fail("appending", &error);
        last = cpu_ms() - before;
        hp_profile_free(profile);
    }
    hp_hyprof_close(stream, true, NULL);
    FILE *file = fopen(path, "rb");
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    fclose(file);
    close(descriptor);
    unlink(path);
    printf("stream: ten appends, the last takes %.1f ms, file of %.2f MB\n", last, (double)size / 1e6);
}

int main(int count, char **arguments) {
    uint32_t nodes = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : 100000;
    hp_sample_shape shape = {.seed = 1, .stacks = nodes / 5, .functions = 3000, .threads = 8, .depth = 20, .main_name = "MainThread"};
    size_t size = 0;
    hp_profile *profile = sample_profile(&shape);
    uint8_t *bytes = sample_encode(profile, &size);
    printf("%u nodes, %u functions, %u lines, %u estimates\n", profile->tree.count, profile->function_count, profile->line_count,
           profile->estimate_count);
    printf("write: %.1f ms\n", time_write(profile, &size));
    printf("file: %.2f MB, %.1f bytes a node\n", (double)size / 1e6, (double)size / profile->tree.count);
    printf("read: %.1f ms\n", time_read(bytes, size));
    free(bytes);
    hp_profile_free(profile);
    time_stream(shape);
    return 0;
}
