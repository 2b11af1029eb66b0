/* SPDX-License-Identifier: MIT */
/* pprof files of other producers, and what is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"

#include "formats/pprof/gzip.h"
#include "formats/pprof/pprof.h"
#include "support/bytes.h"
#include "support/messages.h"
#include "support/profiles.h"
#include "support/pstats.h"

static hp_profile *read_message(hp_message *message) {
    assert_true(hp_format_pprof.recognize(message->bytes.data, message->bytes.size));
    hp_profile *profile = hp_test_read(&hp_format_pprof, message->bytes.data, message->bytes.size);
    hp_bytes_free(&message->bytes);
    return profile;
}

static const char *const go_strings[] = {
    "",          "samples",         "count",         "cpu",    "nanoseconds", "main.main", "/src/main.go", "github.com/x/y.(*T).Run",
    "/src/y.go", "runtime.memmove", "/go/memmove.s", "thread", "worker",      NULL};

/* As Go's runtime writes it: samples/count and cpu/nanoseconds, an inlined frame, an address without a name; ids from anywhere. */
static hp_message go_profile(bool packed) {
    hp_message m = {0};
    MESSAGE_NUMBERS(&m, PROFILE_SAMPLE_TYPE, 1, 2);
    MESSAGE_NUMBERS(&m, PROFILE_SAMPLE_TYPE, 3, 4);
    message_sample(&m, packed, (uint64_t[4]){30, 20, 10}, (uint64_t[]){3, 30000000}, 2, 0, 0);
    message_sample(&m, packed, (uint64_t[4]){40, 10}, (uint64_t[]){2, 20000000}, 2, 11, 12);
    message_sample(&m, packed, (uint64_t[4]){20, 10}, (uint64_t[]){1, 10000000}, 2, 0, 0);
    MESSAGE_NUMBERS(&m, PROFILE_MAPPING, 1, 4096, 8192);
    put_location(&m, 10, 0x1000, (uint64_t[4]){7, 12});
    put_location(&m, 20, 0x2000, (uint64_t[4]){8, 33, 7, 14}); /* y.Run inlined into main */
    put_location(&m, 30, 0x3000, (uint64_t[4]){UINT64_C(1) << 40, 5});
    put_location(&m, 40, 0xdead, (uint64_t[4]){0});
    MESSAGE_NUMBERS(&m, PROFILE_FUNCTION, 7, 5, 5, 6, 10);
    MESSAGE_NUMBERS(&m, PROFILE_FUNCTION, 8, 7, 7, 8, 30);
    MESSAGE_NUMBERS(&m, PROFILE_FUNCTION, UINT64_C(1) << 40, 0, 9, 10);
    put_strings(&m, go_strings);
    hp_wire_number(&m.bytes, PROFILE_TIME_NANOS, 1700000000000000000);
    hp_wire_number(&m.bytes, PROFILE_DURATION_NANOS, 2000000000);
    MESSAGE_NUMBERS(&m, PROFILE_PERIOD_TYPE, 3, 4);
    hp_wire_number(&m.bytes, PROFILE_PERIOD, 10000000);
    return m;
}

static void assert_go(hp_profile *p) {
    assert_int_equal(row_of(p, "main")->total_sampled, 60000000);
    assert_int_equal(row_of(p, "Run")->total_sampled, 40000000);
    assert_int_equal(row_of(p, "Run")->self_sampled, 10000000);
    assert_int_equal(row_of(p, "memmove")->self_sampled, 30000000); /* its name is in system_name alone */
    assert_int_equal(row_of(p, "memmove")->samples, 3);
    assert_int_equal(row_of(p, "0xdead")->self_sampled, 20000000);
    assert_non_null(edge_of(p, "main", "Run"));
    assert_non_null(edge_of(p, "Run", "main") == NULL ? edge_of(p, "Run", "memmove") : NULL);
    const hp_function *run = &p->functions[row_of(p, "Run")->function];
    assert_string_equal(run->module, "github.com/x/y");
    assert_string_equal(run->qualname, "(*T).Run");
    assert_int_equal(run->first_line, 30);
    assert_int_equal(p->meta.samples_kept, 6);
    assert_int_equal(p->meta.clock, HP_CLOCK_CPU);
    assert_true(p->meta.rate_hz == 100.0);
    assert_int_equal(p->meta.duration_ns, 2000000000);
    assert_int_equal(p->thread_count, 2);
    assert_string_equal(p->threads[1].name, "worker");
    assert_int_equal(p->threads[1].measured_ns, 20000000);
    assert_int_equal(p->line_count, 2);
    hp_profile_free(p);
}

static void test_go(void **state) {
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        hp_message m = go_profile(packed != 0);
        assert_go(read_message(&m));
    }
}

/* A file that Go itself wrote (golden/go-cpu.go); the numbers are those that pprof -top shows of it. */
static void test_real_go(void **state) {
    (void)state;
    size_t size = 0;
    char *bytes = hp_test_source_file("formats/pprof/golden/go-1.26-cpu.pb.gz", &size);
    assert_non_null(bytes);
    assert_true(hp_format_pprof.recognize((uint8_t *)bytes, size));
    hp_profile *p = hp_test_read(&hp_format_pprof, bytes, size);
    assert_int_equal(row_of(p, "inner")->self_sampled, 190000000);
    assert_int_equal(row_of(p, "inner")->total_sampled, 240000000);
    assert_int_equal(row_of(p, "asyncPreempt")->self_sampled, 50000000);
    assert_int_equal(row_of(p, "outer")->total_sampled, 120000000);
    assert_string_equal(p->functions[row_of(p, "outer")->function].module, "main");
    assert_int_equal(p->meta.samples_kept, 24);
    assert_true(p->meta.rate_hz == 100.0);
    assert_int_equal(p->thread_count, 2);
    free(bytes);
    hp_profile_free(p);
}

/* Compressed, in two members, as gzip allows. */
static void test_gzip_members(void **state) {
    (void)state;
    hp_message m = go_profile(true);
    hp_sink *sink = NULL;
    size_t size = 0;
    assert_ok(hp_sink_memory(&sink));
    for (int part = 0; part < 2; part++) {
        hp_gzip gzip;
        size_t half = m.bytes.size / 2;
        assert_ok(hp_gzip_begin(&gzip, sink));
        hp_gzip_write(&gzip, m.bytes.data + (part == 0 ? 0 : half), part == 0 ? half : m.bytes.size - half);
        hp_gzip_end(&gzip);
    }
    const uint8_t *bytes = hp_sink_bytes(sink, &size);
    assert_go(hp_test_read(&hp_format_pprof, bytes, size));
    hp_sink_free(sink);
    hp_bytes_free(&m.bytes);
}

static void assert_time(const char *const *strings, const uint64_t (*types)[2], const uint64_t *values, uint32_t count,
                        uint64_t default_type, uint64_t ns) {
    hp_message m = small_profile(strings, types, values, count);
    hp_wire_number(&m.bytes, PROFILE_DEFAULT_TYPE, default_type);
    hp_profile *p = read_message(&m);
    assert_int_equal(row_of(p, "f")->self_sampled, ns);
    assert_int_equal(row_of(p, "f")->measured, HP_SAMPLED);
    hp_profile_free(p);
}

/* Which of the values is the time, and in what unit. */
static void test_units(void **state) {
    (void)state;
    static const char *const strings[] = {"", "f", "f.py", "samples", "count", "wall", "microseconds", "cpu", "milliseconds", "s", NULL};
    assert_time(strings, (const uint64_t[][2]){{5, 6}}, (uint64_t[]){1500}, 1, 0, 1500000);
    assert_time(strings, (const uint64_t[][2]){{5, 6}, {7, 8}}, (uint64_t[]){1500, 7}, 2, 0, 7000000); /* the last, as pprof shows */
    assert_time(strings, (const uint64_t[][2]){{5, 6}, {7, 8}}, (uint64_t[]){1500, 7}, 2, 5, 1500000); /* the default */
    assert_time(strings, (const uint64_t[][2]){{5, 9}, {3, 4}}, (uint64_t[]){2, 7}, 2, 0, 2000000000); /* a time before a count */
}

static void assert_clock(const char *type, const char *default_type, hp_clock_kind clock) {
    const char *const strings[] = {"", "f", "f.py", type, "nanoseconds", default_type, NULL};
    hp_message m = small_profile(strings, (const uint64_t[][2]){{5, 4}, {3, 4}}, (uint64_t[]){7, 9}, 2);
    hp_wire_number(&m.bytes, PROFILE_DEFAULT_TYPE, 5);
    hp_profile *p = read_message(&m);
    assert_int_equal(p->meta.clock, clock);
    hp_profile_free(p);
}

/* The clock is that of the value which is the time, not of one beside it. */
static void test_clocks(void **state) {
    (void)state;
    assert_clock("cpu", "wall", HP_CLOCK_WALL);
    assert_clock("wall", "cpu", HP_CLOCK_CPU);
    assert_clock("wall-time", "cpu-time", HP_CLOCK_CPU);
    assert_clock("cpu", "delay", HP_CLOCK_WAITS);
    assert_clock("cpu-time", "lock-acquire-wait", HP_CLOCK_WAITS);
}

/* Counts of samples with a period are times. */
static void test_period(void **state) {
    (void)state;
    static const char *const strings[] = {"", "f", "f.py", "samples", "count", "wall", "microseconds", NULL};
    hp_message m = small_profile(strings, (const uint64_t[][2]){{3, 4}}, (uint64_t[]){7}, 1);
    MESSAGE_NUMBERS(&m, PROFILE_PERIOD_TYPE, 5, 6);
    hp_wire_number(&m.bytes, PROFILE_PERIOD, 2000);
    hp_profile *p = read_message(&m);
    assert_int_equal(row_of(p, "f")->self_sampled, 14000000);
    assert_int_equal(row_of(p, "f")->samples, 7);
    assert_true(p->meta.rate_hz == 500.0);
    hp_profile_free(p);
}

/* A difference of two profiles. */
static void test_negative(void **state) {
    (void)state;
    static const char *const strings[] = {"", "f", "f.py", "wall", "ms", NULL};
    hp_message m = small_profile(strings, (const uint64_t[][2]){{3, 4}}, (uint64_t[]){UINT64_MAX - 4}, 1);
    hp_profile *p = read_message(&m);
    assert_int_equal(row_of(p, "f")->self_sampled, 0);
    assert_int_equal(p->meta.warning_count, 1);
    assert_non_null(strstr(p->meta.warnings[0], "1 values in the pprof file were negative"));
    hp_profile_free(p);
}

/* What pprof writes of one of our files: no fields of ours, other ids. Types, threads, labels and names still tell. */
static void test_without_own_fields(void **state) {
    (void)state;
    static const char *const strings[] = {
        "",         "samples", "count", "calls",  "sampled", "nanoseconds",        "exact",     "overhead", "cpu",
        "measured", "mixed",   "exact", "shop.f", "shop.py", "<thread worker #7>", "<block a>", "thread",   "worker",
        NULL};
    hp_message m = {0};
    static const uint64_t types[][2] = {{1, 2}, {3, 2}, {4, 5}, {6, 5}, {7, 5}, {8, 5}};
    for (uint32_t i = 0; i < 6; i++)
        MESSAGE_NUMBERS(&m, PROFILE_SAMPLE_TYPE, types[i][0], types[i][1]);
    message_sample(&m, true, (uint64_t[4]){5, 3}, (uint64_t[]){0, 4, 0, 70, 2, 70}, 6, 9, 10);
    message_sample(&m, true, (uint64_t[4]){9, 5, 3}, (uint64_t[]){0, 3, 0, 50, 1, 50}, 6, 9, 11);
    put_location(&m, 5, 0, (uint64_t[4]){2, 4});
    put_location(&m, 3, 0, (uint64_t[4]){4, 0});
    put_location(&m, 9, 0, (uint64_t[4]){6, 0});
    MESSAGE_NUMBERS(&m, PROFILE_FUNCTION, 2, 12, 0, 13, 4);
    MESSAGE_NUMBERS(&m, PROFILE_FUNCTION, 4, 14);
    MESSAGE_NUMBERS(&m, PROFILE_FUNCTION, 6, 15);
    put_strings(&m, strings);
    hp_profile *p = read_message(&m);
    assert_int_equal(row_of(p, "f")->measured, HP_MIXED);
    assert_int_equal(row_of(p, "f")->calls, 4);
    assert_int_equal(row_of(p, "f")->self_exact, 70);
    assert_int_equal(row_of(p, "a")->measured, HP_EXACT);
    assert_int_equal(p->functions[row_of(p, "a")->function].kind, HP_CODE_BLOCK);
    assert_string_equal(p->functions[row_of(p, "f")->function].module, "shop");
    assert_int_equal(p->thread_count, 1);
    assert_string_equal(p->threads[0].name, "worker");
    assert_int_equal(p->threads[0].overhead_ns, 3);
    assert_int_equal(p->threads[0].measured_ns, 123);
    hp_profile_free(p);
}

/* --- refusals ---------------------------------------------------------------------------------------------------------------------- */

static void test_refusals(void **state) {
    (void)state;
    hp_message m = {0};
    assert_message(&m, HP_BAD_FORMAT, "lacks types of samples");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    MESSAGE_NUMBERS(&m, PROFILE_SAMPLE_TYPE, 3, 4);
    assert_message(&m, HP_BAD_FORMAT, "fewer values than there are types");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    message_sample(&m, true, (uint64_t[4]){1}, (uint64_t[]){1, 2}, 2, 0, 0);
    assert_message(&m, HP_BAD_FORMAT, "more values than there are types");
    m = small_profile(small_strings, (const uint64_t[][2]){{3, 5}}, (uint64_t[]){1}, 1);
    assert_message(&m, HP_BAD_FORMAT, "a type of samples is no string");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    message_sample(&m, true, (uint64_t[4]){2}, (uint64_t[]){1}, 1, 0, 0);
    assert_message(&m, HP_BAD_FORMAT, "a location that is none of its table");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    message_sample(&m, true, (uint64_t[4]){1}, (uint64_t[]){1}, 1, 9, 1);
    assert_message(&m, HP_BAD_FORMAT, "a label is no string");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    put_location(&m, 2, 0, (uint64_t[4]){2, 1});
    assert_message(&m, HP_BAD_FORMAT, "a line is of no function");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    put_location(&m, 1, 0, (uint64_t[4]){1, 1});
    assert_message(&m, HP_BAD_FORMAT, "two locations have one id");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    MESSAGE_NUMBERS(&m, PROFILE_FUNCTION, 1, 1, 0, 2);
    assert_message(&m, HP_BAD_FORMAT, "two functions have one id");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    MESSAGE_NUMBERS(&m, PROFILE_FUNCTION, 0, 1, 0, 2);
    assert_message(&m, HP_BAD_FORMAT, "has no id");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    MESSAGE_NUMBERS(&m, PROFILE_FUNCTION, 2, 99);
    assert_message(&m, HP_BAD_FORMAT, "no string of its table");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    message_sample(&m, true, (uint64_t[4]){1}, (uint64_t[]){INT64_MAX - 1}, 1, 0, 0);
    assert_message(&m, HP_BAD_FORMAT, "2^63");
    static const char *const heap[] = {"", "f", "f.go", "inuse_space", "bytes", NULL};
    m = small_profile(heap, small_types, (uint64_t[]){1}, 1);
    assert_message(&m, HP_UNSUPPORTED, "no time but inuse_space (bytes)");
    m = small_profile((const char *const[]){"x", "f", "f.py", "wall", "ns", NULL}, small_types, (uint64_t[]){1}, 1);
    assert_message(&m, HP_BAD_FORMAT, "begins with \"\"");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    hp_bytes_add(&m.bytes, "\x12\x05\x0b\x00\x00\x00\x00", 7); /* a group, which the schema has nowhere */
    assert_message(&m, HP_BAD_FORMAT, "a sample is malformed");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    hp_bytes_add(&m.bytes, "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11); /* 2^64 bytes */
    assert_message(&m, HP_BAD_FORMAT, "cut short or damaged");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    hp_bytes_add(&m.bytes, "\x48\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12); /* a varint of eleven bytes */
    assert_message(&m, HP_BAD_FORMAT, "cut short or damaged");
}

static void test_recognition(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "\n",
                                        "\n\n",
                                        "\n\n\n",
                                        "\nabc",
                                        "a;b 1\n",
                                        "{\"a\": 1}",
                                        "\x12\x03",
                                        "\x0a\x02xy",
                                        "\x0a\x09\x31\x32",
                                        "\x1f\x8b",
                                        "# callgrind\n",
                                        "\x0a\x04\x18\x01\x10\x02"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(hp_format_pprof.recognize((const uint8_t *)texts[i], strlen(texts[i])));
    assert_true(hp_format_pprof.recognize((const uint8_t *)"\x0a\x04\x08\x01\x10\x02", 6));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_go),           cmocka_unit_test(test_real_go),
        cmocka_unit_test(test_gzip_members), cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_units),        cmocka_unit_test(test_period),
        cmocka_unit_test(test_negative),     cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_recognition),  cmocka_unit_test(test_without_own_fields),
    };
    return cmocka_run_group_tests_name("pprof reader", tests, NULL, NULL);
}
