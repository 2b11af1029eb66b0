/* SPDX-License-Identifier: MIT */
/* Tables that grow keep what is in them, across the size from which on they are pages. */
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "support/check.h"

static void fill(unsigned char *block, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        block[i] = (unsigned char)(i * 7 + i / 251);
}

static void assert_filled(const unsigned char *block, size_t size) {
    for (size_t i = 0; i < size; i++)
        assert_int_equal(block[i], (unsigned char)(i * 7 + i / 251));
}

static void growing_and_shrinking_keeps_the_contents(void **state) {
    unsigned char *block = NULL;
    size_t size = 0;
    (void)state;
    srand(1);
    for (int i = 0; i < 400; i++) {
        size_t next = (size_t)1 << (rand() % 21), kept = size < next ? size : next;
        block = hp_pages_resize(block, size, next + 1);
        assert_non_null(block);
        assert_filled(block, kept);
        fill(block, kept, next + 1);
        size = next + 1;
    }
    hp_pages_free(block, size);
    hp_pages_free(NULL, 0);
}

static void what_cannot_be_had_leaves_the_old_block(void **state) {
    unsigned char *block = hp_pages_resize(NULL, 0, 200000);
    (void)state;
    assert_non_null(block);
    fill(block, 0, 200000);
    assert_null(hp_pages_resize(block, 200000, (size_t)1 << 60));
    assert_filled(block, 200000);
    hp_pages_free(block, 200000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(growing_and_shrinking_keeps_the_contents),
                                       cmocka_unit_test(what_cannot_be_had_leaves_the_old_block)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
