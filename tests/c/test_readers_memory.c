/* SPDX-License-Identifier: MIT */
/* What readers of other people's files take at most: the files that take most of what each one's rules allow. For .hyprof files
 * test_hyprof_memory.c does the same. */
#include "support/memory.h"

#include "formats/collapsed/collapsed.h"
#include "formats/pstats/pstats.h"
#include "support/messages.h"

enum { NAME = 1 << 20 };

/* --- pprof ------------------------------------------------------------------------------------------------------------------------- */

enum { GZIP = 15 + 16 };

static void assert_message_bounded(const char *what, hp_message *message) {
    size_t size = 0;
    uint8_t *bytes = deflated(&message->bytes, GZIP, &size);
    assert_bounded(what, &hp_format_pprof, bytes, size);
}

/* Without a NUL: it goes into the midst of bytes. */
static void put_text(char *to, const char *text) {
    while (*text != '\0')
        *to++ = *text++;
}

/* The strings and more, all different, `tail` behind them. */
static hp_message with_names(const char *const *strings, uint32_t count, size_t size, int fill, const char *tail) {
    hp_message m = small_profile(strings, small_types, (uint64_t[]){1}, 1);
    char *name = malloc(size);
    for (uint32_t i = 0; i < count; i++) {
        memset(name, fill, size);
        char number[16];
        snprintf(number, sizeof number, "%u", i);
        put_text(name, number);
        put_text(name + size - strlen(tail), tail);
        hp_wire_bytes(&m.bytes, PROFILE_STRING, name, size);
    }
    free(name);
    return m;
}

static void add_functions(hp_message *m, uint32_t count, uint64_t file) {
    for (uint32_t i = 0; i < count; i++)
        MESSAGE_NUMBERS(m, PROFILE_FUNCTION, i + 2, i + 5, 0, file, 0);
}

static void test_pprof_names(void **state) {
    (void)state;
    for (uint32_t count = 20; count < 64; count += 21) {
        for (int fill = 'x'; fill < 0x100; fill += 0xff - 'x') {
            hp_message m = with_names(small_strings, count, NAME, fill, ".f.b"); /* a module, which is copied once more */
            add_functions(&m, count, 2);
            assert_message_bounded(fill == 'x' ? "names" : "bad names", &m);
        }
    }
    hp_message m = with_names(small_strings, 62, NAME, 0xff, "");
    add_functions(&m, 62, 0);
    assert_message_bounded("bad names without a file", &m);
    m = with_names(small_strings, 1, 60 * NAME, 0xff, "");
    add_functions(&m, 1, 2);
    assert_message_bounded("one bad name", &m);
}

static const char *const thread_strings[] = {"", "f", "f.py", "wall", "ns", "thread", NULL};

static void add_thread_samples(hp_message *m, uint32_t count, uint64_t key) {
    for (uint32_t i = 0; i < count; i++)
        message_sample(m, true, (uint64_t[4]){1}, (uint64_t[]){1}, 1, key, i + 6);
}

static void test_pprof_threads_and_facts(void **state) {
    (void)state;
    for (uint32_t count = 27; count < 62; count += 34) {
        hp_message m = with_names(thread_strings, count, NAME, 0xff, "");
        add_thread_samples(&m, count, 5);
        assert_message_bounded("bad names of threads", &m);
    }
    for (int fill = 'x'; fill < 0x100; fill += 0xff - 'x') {
        hp_message m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
        char *fact = malloc(NAME);
        for (uint32_t i = 0; i < 62; i++) {
            memset(fact, fill, NAME);
            put_text(fact, "warning: ");
            fact[9] = (char)('0' + i);
            hp_wire_bytes(&m.bytes, PROFILE_FACT, fact, NAME);
        }
        free(fact);
        assert_message_bounded("facts", &m);
    }
}

/* As many entries as are free, and as much text as still fits in. */
static void test_pprof_entries(void **state) {
    (void)state;
    enum { FUNCTIONS = 90000, DEEP = 900000 };
    for (int fill = 'x'; fill < 0x100; fill += 0xff - 'x') {
        hp_message m = with_names(small_strings, 30, NAME, fill, ".f.b");
        add_functions(&m, 30, 2);
        for (uint32_t i = 0; i < FUNCTIONS; i++)
            MESSAGE_NUMBERS(&m, PROFILE_FUNCTION, i + 100, 1, 0, 2, i);
        for (uint32_t i = 0; i < FUNCTIONS; i++)
            put_location(&m, i + 2, 0, (uint64_t[4]){i + 100, 4});
        assert_message_bounded("functions and locations", &m);
        m = with_names(small_strings, 50, NAME, fill, ".f.b");
        add_functions(&m, 50, 2);
        hp_bytes inner = {0};
        uint8_t *ones = malloc(DEEP);
        memset(ones, 1, DEEP);
        hp_wire_bytes(&inner, SAMPLE_LOCATION, ones, DEEP);
        hp_wire_bytes(&inner, SAMPLE_VALUE, "\1", 1);
        hp_wire_bytes(&m.bytes, PROFILE_SAMPLE, inner.data, inner.size);
        hp_bytes_free(&inner);
        free(ones);
        assert_message_bounded("a deep stack", &m);
    }
}

/* --- pstats and collapsed stacks --------------------------------------------------------------------------------------------------- */

#define PUT(to, text) hp_bytes_add((to), (text), sizeof(text) - 1)

static void put_key(hp_bytes *to, uint32_t line) {
    PUT(to, "\xa9\3z\1fi");
    hp_bytes_add(to, (uint8_t[]){(uint8_t)line, (uint8_t)(line >> 8), (uint8_t)(line >> 16), 0}, 4);
    PUT(to, "z\1n");
}

/* Rows that are as short as can be, and one row with as many callers as there is room for, each a reference to one key. */
static void test_pstats(void **state) {
    (void)state;
    hp_bytes bytes = {0};
    PUT(&bytes, "{");
    for (uint32_t i = 0; bytes.size + 40 < FILE_LIMIT; i++) {
        put_key(&bytes, i);
        PUT(&bytes, ")\5TTTT{0");
    }
    PUT(&bytes, "0");
    assert_bounded("rows", &hp_format_pstats, bytes.data, bytes.size);
    bytes = (hp_bytes){0};
    PUT(&bytes, "{");
    put_key(&bytes, 1);
    PUT(&bytes, ")\5TTTT{");
    while (bytes.size + 40 < FILE_LIMIT)
        PUT(&bytes, "r\0\0\0\0T");
    PUT(&bytes, "00");
    assert_bounded("callers", &hp_format_pstats, bytes.data, bytes.size);
}

static void test_pstats_names(void **state) {
    (void)state;
    enum { SIZE = FILE_LIMIT - 64 };
    uint8_t *name = malloc(SIZE);
    memset(name, 0xff, SIZE);
    hp_bytes bytes = {0};
    PUT(&bytes, "{)\3z\1~Fu");
    hp_bytes_add(&bytes, (uint8_t[]){SIZE & 0xff, SIZE >> 8 & 0xff, SIZE >> 16, 0}, 4);
    hp_bytes_add(&bytes, name, SIZE);
    PUT(&bytes, ")\5TTTT{00");
    free(name);
    assert_bounded("a bad name", &hp_format_pstats, bytes.data, bytes.size);
}

static void test_collapsed(void **state) {
    (void)state;
    static const char *const lines[] = {"a;b:%u 1\n", "%x;b 1\n", "\xff%x;b 1\n", "f.py:n:%u;f.py:m:1 1\n"};
    char line[64];
    for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
        hp_bytes bytes = {0};
        for (uint32_t n = 0; bytes.size + sizeof line < FILE_LIMIT; n++) {
            snprintf(line, sizeof line, lines[i], n);
            hp_bytes_add(&bytes, line, strlen(line));
        }
        assert_bounded(lines[i], &hp_format_collapsed, bytes.data, bytes.size);
    }
    for (unsigned i = 0; i < 3; i++) {
        hp_bytes bytes = {0};
        while (bytes.size + 16 < FILE_LIMIT)
            hp_bytes_add(&bytes, i == 0 ? "\xff" : i == 1 ? "a;" : "\xff;", i == 0 ? 1 : 2);
        PUT(&bytes, ";a 1\n");
        assert_bounded("one stack", &hp_format_collapsed, bytes.data, bytes.size);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pprof_names),   cmocka_unit_test(test_pprof_threads_and_facts),
        cmocka_unit_test(test_pprof_entries), cmocka_unit_test(test_pstats),
        cmocka_unit_test(test_pstats_names),  cmocka_unit_test(test_collapsed),
    };
    return MEMORY_IS_SHADOWED ? TEST_IS_SKIPPED : cmocka_run_group_tests_name("memory of the readers", tests, NULL, NULL);
}
