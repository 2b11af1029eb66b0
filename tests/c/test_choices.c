/* SPDX-License-Identifier: MIT */
/* What is remembered of suspended calls, against a list that is searched from end to end. */
#include <string.h>

#include "support/check.h"
#include "support/random.h"
#include "tracer/choices.h"

enum { FRAMES = 300, CODES = 3, TURNS = 200000 };

static char frames[FRAMES * 16], codes[CODES];

typedef struct known {
    bool there;
    int code;
    uint64_t events;
} known;

static void check_all(const hp_choices *choices, const known *list) {
    uint32_t count = 0;
    for (int i = 0; i < FRAMES; i++) {
        for (int code = 0; code < CODES; code++) {
            const hp_choice *found = hp_choices_find(choices, &frames[(size_t)i * 16], &codes[code]);
            bool wanted = list[i].there && list[i].code == code;
            assert_int_equal(found != NULL, wanted);
            if (found != NULL)
                assert_int_equal(found->events, list[i].events);
        }
        count += list[i].there;
    }
    assert_int_equal(choices->count, count);
}

static void one_turn(hp_choices *choices, known *list, uint64_t *random) {
    int i = (int)hp_test_below(random, FRAMES), code = (int)hp_test_below(random, CODES);
    known *entry = &list[i];
    switch (hp_test_below(random, 4)) {
    case 0:
    case 1:
        *entry = (known){true, code, hp_test_below(random, 1000) + 1};
        hp_choices_put(choices, &frames[(size_t)i * 16], &codes[code], entry->events);
        break;
    case 2: {
        bool wanted = entry->there && entry->code == code;
        assert_int_equal(hp_choices_take(choices, &frames[(size_t)i * 16], &codes[code]), wanted ? entry->events : 0);
        entry->there = entry->there && !wanted;
        break;
    }
    default:
        hp_choices_forget(choices, &frames[(size_t)i * 16]);
        entry->there = false;
    }
}

static void test_random_turns(void **state) {
    (void)state;
    hp_choices choices = {0};
    known list[FRAMES] = {0};
    uint64_t random = 11;
    check_all(&choices, list);
    for (int turn = 0; turn < TURNS; turn++) {
        one_turn(&choices, list, &random);
        if (turn % 997 == 0)
            check_all(&choices, list);
        if (turn % 50021 == 50020) {
            hp_choices_clear(&choices);
            memset(list, 0, sizeof list);
            check_all(&choices, list);
        }
    }
    check_all(&choices, list);
    hp_choices_fini(&choices);
    assert_int_equal(hp_choices_take(&choices, frames, codes), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_turns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
