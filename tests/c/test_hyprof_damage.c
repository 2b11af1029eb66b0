/* SPDX-License-Identifier: MIT */
/* Damaged and hostile .hyprof files: what was written whole comes back exactly or not at all, and no file makes the reader crash or take
 * unbounded memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "formats/hyprof/encode.h"
#include "formats/hyprof/table.h"
#include "hyprof_samples.h"

enum { GROUPS = 3 };

/* A file of three groups and an end mark, where each group ends, and what a reader must see up to there. */
static struct live_file {
    hp_group group;
    size_t ends[GROUPS + 1];
    char *texts[GROUPS];
} live;

/* What the file has of the timeline after the third group, where the first thread has another name: its stacks are gone. Nodes keep their
 * numbers from one sample to the next. */
static void keep_others(hp_profile *profile, const hp_timeline *before) {
    profile->timeline.kept = true;
    assert_int_equal(hp_timeline_reserve(&profile->timeline, before->count), HP_OK);
    for (uint32_t i = 0; i < before->count; i++) {
        uint32_t at = before->moments[i].node;
        while (profile->tree.nodes[at].parent != 0)
            at = profile->tree.nodes[at].parent;
        if (at == profile->threads[0].root)
            profile->timeline.lost++;
        else
            hp_timeline_append(&profile->timeline, before->moments[i]);
    }
    assert_in_range(profile->timeline.lost, 1, before->count - 1);
}

static int make_live(void **state) {
    hp_encoder encoder;
    hp_sample_shape shape = {.seed = 4, .functions = 24, .threads = 2, .depth = 4, .main_name = "Thread-1"};
    hp_timeline timeline = {0};
    (void)state;
    if (hp_encoder_init(&encoder) != HP_OK)
        return -1;
    hp_group_file_header(&live.group);
    for (int i = 0; i < GROUPS; i++) {
        shape.stacks = 12 + 9 * (uint32_t)i;
        shape.main_name = i == 2 ? "MainThread" : "Thread-1";
        shape.moments = i == 1 ? 40 : 0; /* a timeline goes on where it ended */
        hp_profile *profile = sample_profile(&shape);
        if (hp_encoder_take(&encoder, profile, NULL) != HP_OK)
            return -1;
        hp_encoder_write(&encoder, &live.group);
        hp_encoder_written(&encoder);
        live.ends[i] = live.group.out.size;
        if (i == 2)
            keep_others(profile, &timeline);
        live.texts[i] = sample_dump(profile, true);
        if (i == 1) {
            timeline = profile->timeline;
            profile->timeline = (hp_timeline){0};
        }
        hp_profile_free(profile);
    }
    hp_timeline_fini(&timeline);
    hp_group_end(&live.group);
    live.ends[GROUPS] = live.group.out.size;
    hp_encoder_fini(&encoder);
    return hp_group_status(&live.group, NULL) == HP_OK ? 0 : -1;
}

static int free_live(void **state) {
    (void)state;
    for (int i = 0; i < GROUPS; i++)
        free(live.texts[i]);
    hp_group_free(&live.group);
    return 0;
}

/* How many groups the reader took: their text must be exactly what was appended then. 0: an error. */
static int groups_read(const uint8_t *bytes, size_t size, char *warning, size_t room) {
    hp_error error = {0};
    hp_profile *profile = NULL;
    warning[0] = '\0';
    if (hp_format_hyprof.read(bytes, size, &profile, &error) != HP_OK) {
        assert_null(profile);
        assert_int_not_equal(error.text[0], '\0');
        return 0;
    }
    if (profile->meta.warning_count > 1) {
        snprintf(warning, room, "%s", profile->meta.warnings[1]);
        profile->meta.warning_count = 1;
    }
    char *text = sample_dump(profile, true);
    int groups = 0;
    for (int i = 0; i < GROUPS; i++)
        groups = strcmp(text, live.texts[i]) == 0 ? i + 1 : groups;
    if (groups == 0)
        fail_msg("a damaged file gave numbers that were never written");
    free(text);
    hp_profile_free(profile);
    return groups;
}

static void test_cut_at_every_byte(void **state) {
    char warning[200];
    (void)state;
    for (size_t size = 0; size <= live.ends[GROUPS]; size++) {
        uint8_t *copy = malloc(size == 0 ? 1 : size); /* of its own size: sanitizers see a read behind it */
        memcpy(copy, live.group.out.data, size);
        int whole = 0;
        for (int i = 0; i < GROUPS; i++)
            whole += size >= live.ends[i];
        assert_int_equal(groups_read(copy, size, warning, sizeof warning), whole);
        if (size == live.ends[GROUPS])
            assert_string_equal(warning, "");
        else if (whole > 0)
            assert_non_null(strstr(warning, "cut short"));
        free(copy);
    }
}

static void test_flip_at_every_byte(void **state) {
    char warning[200];
    (void)state;
    for (size_t at = 0; at < live.ends[GROUPS]; at++) {
        int before = 0;
        for (int i = 0; i < GROUPS; i++)
            before += at >= live.ends[i];
        for (unsigned bit = (unsigned)(at % 3); bit < 8; bit += 3) {
            live.group.out.data[at] ^= (uint8_t)(1u << bit);
            assert_int_equal(groups_read(live.group.out.data, live.ends[GROUPS], warning, sizeof warning), before);
            live.group.out.data[at] ^= (uint8_t)(1u << bit);
            if (before > 0)
                assert_non_null(strstr(warning, "damaged"));
        }
    }
}

static void test_tails(void **state) {
    char warning[200];
    size_t size = live.ends[GROUPS];
    (void)state;
    uint8_t *copy = calloc(1, size + 5000);
    memcpy(copy, live.group.out.data, live.ends[1]);
    assert_int_equal(groups_read(copy, live.ends[1] + 5000, warning, sizeof warning), 2); /* zeros, as after a crash of the machine */
    assert_non_null(strstr(warning, "damaged at byte"));
    memcpy(copy, live.group.out.data, size);
    assert_int_equal(groups_read(copy, size + 70, warning, sizeof warning), 3);
    assert_string_equal(warning, "70 bytes behind the end mark of the file were left out");
    /* The second group is missing though every checksum is right: the numbers of the commits tell. */
    memcpy(copy + live.ends[0], live.group.out.data + live.ends[1], size - live.ends[1]);
    assert_int_equal(groups_read(copy, size - (live.ends[1] - live.ends[0]), warning, sizeof warning), 1);
    assert_non_null(strstr(warning, "damaged"));
    free(copy);
}

/* --- chunks whose checksums are right and whose content lies -----------------------------------------------------------------------------
 */

typedef struct lie {
    const char *what;
    uint16_t type;
    const char *raw;
    size_t size;
    const char *words; /* in the sentence */
} lie;

#define LIE(what, type, raw, words) {what, type, raw, sizeof(raw) - 1, words}

static const lie lies[] = {
    LIE("array of 2^32 items", HP_CHUNK_NODES, "\xdd\xff\xff\xff\xff\x01", "not a table"),
    LIE("map of 2^32 pairs", HP_CHUNK_META, "\xdf\xff\xff\xff\xff\xa1k\x01", "not a map"),
    LIE("list of 2^32 warnings", HP_CHUNK_WARNINGS, "\xdd\xff\xff\xff\xff\xa1k", "not a list"),
    LIE("text of 4 GB", HP_CHUNK_META, "\x81\xa7program\xc6\xff\xff\xff\xff", "malformed at \"program\""),
    LIE("nested arrays of 2^32", HP_CHUNK_META, "\x81\xa1k\xdd\xff\xff\xff\xff\xdd\xff\xff\xff\xff", "malformed"),
    LIE("no table", HP_CHUNK_SAMPLED, "\xc0", "not a table"),
    LIE("rows without bytes", HP_CHUNK_NODES, "\x94\x01\xce\x00\x00\xff\xff\xc4\x00\xc4\x00", "not a table"),
    LIE("columns missing", HP_CHUNK_NODES, "\x93\x01\x01\xc4\x01\x00", "not a table"),
    LIE("column too short", HP_CHUNK_NODES, "\x94\x01\x02\xc4\x01\x00\xc4\x02\x00\x00", "does not hold 2 numbers"),
    LIE("column too long", HP_CHUNK_NODES, "\x94\x01\x01\xc4\x02\x00\x00\xc4\x01\x00", "does not hold 1 numbers"),
    LIE("column of 4 GB", HP_CHUNK_NODES, "\x94\x01\x01\xc6\xff\xff\xff\xff\x00\xc4\x01\x00", "does not hold"),
    LIE("number of eleven bytes", HP_CHUNK_NODES, "\x94\x01\x01\xc4\x0b\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00\xc4\x01\x00",
        "does not hold"),
    LIE("number above 64 bits", HP_CHUNK_NODES, "\x94\x01\x01\xc4\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02\xc4\x01\x00",
        "does not hold"),
    LIE("node before its parent", HP_CHUNK_NODES, "\x94\x01\x01\xc4\x01\x02\xc4\x01\x00", "the parent of a node"),
    LIE("node of no function", HP_CHUNK_NODES, "\x94\x01\x01\xc4\x01\x00\xc4\x01\x02", "the function of a node"),
    LIE("nodes that do not go on", HP_CHUNK_NODES, "\x94\x05\x01\xc4\x01\x00\xc4\x01\x00", "nodes begin at 5"),
    LIE("twice the same node", HP_CHUNK_NODES, "\x94\x01\x02\xc4\x02\x00\x00\xc4\x02\x00\x00", "is the same as node"),
    LIE("samples of no node", HP_CHUNK_SAMPLED, "\x95\x00\x01\xc4\x01\x08\xc4\x01\x02\xc4\x01\x02", "node 4 is out of range"),
    LIE("calls of no node", HP_CHUNK_EXACT, "\x97\x00\x01\xc4\x01\x08\xc4\x01\x02\xc4\x01\x02\xc4\x01\x02\xc4\x01\x00",
        "node 4 is out of range"),
    LIE("line of no node", HP_CHUNK_LINES, "\x95\x00\x01\xc4\x01\x08\xc4\x01\x02\xc4\x01\x00", "node 4 is out of range"),
    LIE("counts of no line", HP_CHUNK_LINE_COUNTS, "\x95\x00\x01\xc4\x01\x08\xc4\x01\x02\xc4\x01\x02", "line row 4"),
    LIE("estimate of no function", HP_CHUNK_ESTIMATES, "\x94\x00\x01\xc4\x01\x00\xc4\x01\x08", "the function of an estimate"),
    LIE("counts of no estimate", HP_CHUNK_ESTIMATE_COUNTS, "\x97\x00\x01\xc4\x01\x08\xc4\x01\x02\xc4\x01\x02\xc4\x01\x02\xc4\x01\x02",
        "estimate row 4"),
    LIE("function of no name", HP_CHUNK_FUNCTIONS, "\x98\x01\x01\xc4\x01\x00\xc4\x01\x08\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00",
        "string 4 is out of range"),
    LIE("function of no kind", HP_CHUNK_FUNCTIONS, "\x98\x01\x01\xc4\x01\x08\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00",
        "the kind of a function"),
    LIE("twice the same function", HP_CHUNK_FUNCTIONS,
        "\x98\x01\x01\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00", "function 1 is there twice"),
    LIE("absent node that never was", HP_CHUNK_NODES_ABSENT, "\x93\x00\x01\xc4\x01\x08", "node 4 is out of range"),
    LIE("absent function that never was", HP_CHUNK_FUNCTIONS_ABSENT, "\x93\x00\x01\xc4\x01\x08", "function 4 is out of range"),
    LIE("row of no function", HP_CHUNK_ROWS,
        "\x9d\x00\x01\xc4\x01\x08\xc4\x01\x02\xc4\x01\x02\xc4\x01\x02\xc4\x01\x02\xc4\x01\x02\xc4\x01\x02\xc4\x01\x02\xc4\x01\x02\xc4\x01"
        "\x00\xc4\x01\x00",
        "the function of a row"),
    LIE("edge of no function", HP_CHUNK_EDGES,
        "\x9b\x00\x01\xc4\x01\x08\xc4\x01\x00\xc4\x01\x02\xc4\x01\x02\xc4\x01\x02\xc4\x01\x02\xc4\x01\x02\xc4\x01\x02\xc4\x01\x02",
        "the function of an edge"),
    LIE("string longer than its chunk", HP_CHUNK_STRINGS, "\x94\x01\x01\xc4\x02\xfe\x01\xc4\x01x", "the size of a string"),
    LIE("strings without texts", HP_CHUNK_STRINGS, "\x93\x01\x01\xc4\x01\x02", "holds no texts"),
    LIE("rate that is no number", HP_CHUNK_META, "\x81\xa7rate_hz\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", "malformed at \"rate_hz\""),
    LIE("clock that is none", HP_CHUNK_META, "\x81\xa5\x63lock\x03", "malformed at \"clock\""),
    LIE("id of 3 bytes", HP_CHUNK_META, "\x81\xa2id\xc4\x03xyz", "malformed at \"id\""),
    LIE("process below zero", HP_CHUNK_META, "\x81\xa3pid\xff", "malformed at \"pid\""),
};

/* String 0 is "", function 0 has only empty names. */
static void seal_lie(const lie *one, hp_group *group) {
    static const char strings[] = "\x94\x00\x01\xc4\x01\x00\xc4\x00";
    static const char functions[] = "\x98\x00\x01\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00";
    hp_group_file_header(group);
    hp_group_chunk(group, HP_CHUNK_STRINGS, strings, sizeof strings - 1, 1);
    hp_group_chunk(group, HP_CHUNK_FUNCTIONS, functions, sizeof functions - 1, 1);
    hp_group_chunk(group, one->type, one->raw, one->size, 0);
    hp_group_commit(group);
    hp_group_end(group);
}

static void test_lies(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        hp_group group = {0};
        hp_error error = {0};
        hp_profile *profile = NULL;
        seal_lie(&lies[i], &group);
        if (hp_format_hyprof.read(group.out.data, group.out.size, &profile, &error) != HP_BAD_FORMAT)
            fail_msg("%s: accepted", lies[i].what);
        if (strstr(error.text, lies[i].words) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", lies[i].what, error.text, lies[i].words);
        assert_null(profile);
        hp_group_free(&group);
    }
}

/* --- memory
 * ---------------------------------------------------------------------------------------------------------------------------------- */

static void put32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* A chunk that says what the writer never would. */
static void forge_chunk(hp_group *group, uint16_t type, const void *payload, uint32_t size, uint32_t raw_size) {
    uint8_t header[HP_CHUNK_HEADER_SIZE] = {(uint8_t)type, 0, HP_CHUNK_DEFLATED};
    put32(header + 4, size);
    put32(header + 8, raw_size);
    put32(header + 12, (uint32_t)crc32(0, payload, size));
    put32(header + 16, (uint32_t)crc32(0, header, 16));
    hp_bytes_add(&group->out, header, sizeof header);
    hp_bytes_add(&group->out, payload, size);
    group->chunks++;
}

static hp_status read_forged(uint32_t raw_size, uint32_t claimed, hp_error *error) {
    hp_group group = {0};
    hp_profile *profile = NULL;
    uint8_t *zeros = calloc(1, raw_size);
    uLongf size = compressBound(raw_size);
    uint8_t *payload = malloc(size);
    assert_int_equal(compress2(payload, &size, zeros, raw_size, 9), Z_OK);
    hp_group_file_header(&group);
    forge_chunk(&group, HP_CHUNK_META, payload, (uint32_t)size, claimed);
    hp_group_commit(&group);
    hp_status status = hp_format_hyprof.read(group.out.data, group.out.size, &profile, error);
    hp_group_free(&group);
    free(zeros);
    free(payload);
    return status;
}

static void test_inflated_sizes(void **state) {
    hp_error error = {0};
    (void)state;
    assert_int_equal(read_forged(1 << 20, 1 << 20, &error), HP_BAD_FORMAT); /* a thousand to one */
    assert_non_null(strstr(error.text, "more than the format allows"));
    assert_int_equal(read_forged(1 << 10, UINT32_MAX, &error), HP_BAD_FORMAT);
    assert_non_null(strstr(error.text, "more than the format allows"));
    assert_int_equal(read_forged(1 << 10, 1 << 9, &error), HP_BAD_FORMAT); /* inflates to more than it says */
    assert_non_null(strstr(error.text, "does not inflate"));
    assert_int_equal(read_forged(500, 600, &error), HP_BAD_FORMAT);
    assert_non_null(strstr(error.text, "does not inflate"));
}

/* One inflater for all: what is wrong with one chunk, by however little, is nothing to the next. */
static void test_an_inflater_after_lies(void **state) {
    enum { RAW = 700, FURTHEST = 300 };
    uint8_t raw[RAW], deflated[2 * RAW];
    uLongf size = sizeof deflated;
    hp_inflater inflater = {0};
    const uint8_t *found;
    (void)state;
    for (unsigned i = 0; i < RAW; i++)
        raw[i] = (uint8_t)(i * i / 7 % 50);
    assert_int_equal(compress2(deflated, &size, raw, RAW, 1), Z_OK);
    for (int by = -FURTHEST; by <= FURTHEST; by++) {
        hp_chunk chunk = {HP_CHUNK_NODES, HP_CHUNK_DEFLATED, (uint32_t)size, (uint32_t)(RAW + by), deflated};
        assert_int_equal(hp_chunk_inflate(&chunk, &inflater, &found, NULL), by == 0 ? HP_OK : HP_BAD_FORMAT);
        chunk.raw_size = RAW;
        chunk.size = (uint32_t)size - 1 - (uint32_t)(by + FURTHEST) % 60; /* cut: within its checksum, or its data */
        assert_int_equal(hp_chunk_inflate(&chunk, &inflater, &found, NULL), HP_BAD_FORMAT);
        chunk.size = (uint32_t)size;
        assert_int_equal(hp_chunk_inflate(&chunk, &inflater, &found, NULL), HP_OK);
        assert_memory_equal(found, raw, RAW);
    }
    hp_inflater_fini(&inflater);
}

/* The densest file that the rules allow: a chain of nodes, two bytes each. */
static void densest_file(hp_group *group, uint32_t nodes) {
    static const char strings[] = "\x94\x00\x01\xc4\x01\x00\xc4\x00";
    static const char functions[] = "\x98\x00\x01\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00\xc4\x01\x00";
    hp_table table;
    hp_group_file_header(group);
    hp_group_chunk(group, HP_CHUNK_STRINGS, strings, sizeof strings - 1, 1);
    hp_group_chunk(group, HP_CHUNK_FUNCTIONS, functions, sizeof functions - 1, 1);
    hp_table_begin(&table, group, HP_CHUNK_NODES, 1);
    for (uint32_t i = 0; i < nodes; i++)
        hp_table_row(&table, (uint64_t[]){i, 0});
    hp_table_end(&table, false);
    hp_group_commit(group);
    hp_group_end(group);
}

static void test_memory_is_bounded(void **state) {
    hp_group group = {0};
    int exit_status = 1;
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* its shadow memory needs terabytes of address space */
#endif
    densest_file(&group, 300000);
    pid_t child = fork();
    if (child == 0) {
        hp_profile *profile = NULL;
        struct rlimit limit = {128 * group.out.size + (16u << 20), 128 * group.out.size + (16u << 20)};
        setrlimit(RLIMIT_AS, &limit);
        _exit(hp_format_hyprof.read(group.out.data, group.out.size, &profile, NULL) == HP_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &exit_status, 0), child);
    assert_int_equal(exit_status, 0);
    hp_group_free(&group);
}

/* With less than it needs the reader says so. */
static void test_memory_runs_out(void **state) {
    hp_group group = {0};
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
    densest_file(&group, 300000);
    for (rlim_t megabytes = 8; megabytes < 48; megabytes += 3) {
        int exit_status = 1;
        pid_t child = fork();
        if (child == 0) {
            hp_profile *profile = NULL;
            struct rlimit limit = {megabytes << 20, megabytes << 20};
            setrlimit(RLIMIT_AS, &limit);
            hp_status status = hp_format_hyprof.read(group.out.data, group.out.size, &profile, NULL);
            _exit(status == HP_NO_MEMORY || (status == HP_OK && megabytes > 24) ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &exit_status, 0), child);
        assert_int_equal(exit_status, 0);
    }
    hp_group_free(&group);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_flip_at_every_byte),
        cmocka_unit_test(test_tails),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_inflated_sizes),
        cmocka_unit_test(test_an_inflater_after_lies),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, make_live, free_live);
}
