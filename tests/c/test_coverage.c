/* SPDX-License-Identifier: MIT */
/* Not timing but simulation, of whole profiles: threads go through functions in continuous time, the sampler's own gaps look at them, and
 * the truth is known. How often do the intervals of rows hold it: self and total times, shares, differences, merged profiles? The estimator
 * alone is simulated in test_error_bars.c. Seeded, so that the answer is the same on every machine. Time in ns. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sampler/intervals.h"
#include "support/check.h"
#include "support/random.h"
#include "tree/error_bars.h"
#include "tree/merge.h"
#include "tree/profile.h"

enum { FUNCTIONS = 4, DEEPEST = 4, THREADS = 2, PROFILES = 1200 };
static const double GAP = 1e6;

/* What a thread can be doing: each a stack, outermost first. `walk` is above itself in the last one. */
enum { RUN, PARSE, WALK, REST };
static const char *const names[FUNCTIONS] = {"run", "parse", "walk", "rest"};
static const struct {
    int depth;
    int functions[DEEPEST];
} stacks[] = {{1, {RUN}}, {2, {RUN, PARSE}}, {3, {RUN, PARSE, WALK}}, {3, {RUN, WALK, PARSE}}, {3, {RUN, WALK, WALK}}, {2, {RUN, REST}}};
enum { STACKS = sizeof stacks / sizeof *stacks };

static double exponential(uint64_t *random, double mean) {
    return -log(1.0 - hp_test_uniform(random)) * mean;
}

/* Where a thread is, and until when. `next` chooses the next stack and how long it stays, in mean gaps. */
typedef struct state {
    uint64_t *random;
    int stack, turn;
    double length;
} state;
typedef void program(state *s);

/* Everything many times between two samples. */
static void steady(state *s) {
    s->stack = (int)hp_test_below(s->random, STACKS);
    s->length = exponential(s->random, 0.05 * (1 + s->stack));
}

static void slow(state *s) {
    s->stack = (int)hp_test_below(s->random, STACKS);
    s->length = exponential(s->random, 3.0 * (1 + s->stack));
}

/* One after another, for long, each some times in all. */
static void phased(state *s) {
    s->stack = s->turn++ % STACKS;
    s->length = 20 + 30 * hp_test_uniform(s->random);
}

/* In step with the mean gap. */
static void periodic(state *s) {
    static const double lengths[STACKS] = {0.2, 0.1, 0.3, 0.1, 0.2, 0.1};
    s->stack = s->turn++ % STACKS;
    s->length = lengths[s->stack];
}

/* Bursts of quick turns, and rests with a heavy tail. */
static void bursty(state *s) {
    if (s->turn > 0) {
        s->turn--;
        s->stack = (int)hp_test_below(s->random, STACKS - 1);
        s->length = exponential(s->random, 0.4);
        return;
    }
    s->turn = 1 + (int)exponential(s->random, 20);
    s->stack = STACKS - 1;
    s->length = 4 * pow(1.0 - hp_test_uniform(s->random), -1 / 1.5);
}

/* A tally as the sampler's: a run goes on where the sample before had the function too. */
typedef struct tally {
    uint64_t samples, runs, last;
} tally;

static void count(tally *t, uint64_t sample) {
    t->runs += t->samples == 0 || t->last + 1 != sample;
    t->samples++;
    t->last = sample;
}

typedef struct truth {
    double self[FUNCTIONS], total[FUNCTIONS], whole;
} truth;

static void truth_add(truth *t, int stack, double ns) {
    bool seen[FUNCTIONS] = {false};
    for (int i = 0; i < stacks[stack].depth; i++) {
        int function = stacks[stack].functions[i];
        t->total[function] += seen[function] ? 0 : ns;
        seen[function] = true;
    }
    t->self[stacks[stack].functions[stacks[stack].depth - 1]] += ns;
    t->whole += ns;
}

/* How a session goes. `late`: the chance that the sampler comes only after some 20 gaps more, as on a busy machine. */
typedef struct session {
    program *next;
    double samples, late, gap;
    bool measured; /* the gaps are, as the sampler does it */
} session;

static void add_estimates(hp_profile *p, uint32_t thread, const tally *self, const tally *total, const hp_gaps *gaps) {
    const hp_profile_thread *t = &p->threads[thread];
    for (int f = 0; f < FUNCTIONS; f++) {
        hp_estimate e = {thread, (uint32_t)f + 1, self[f].samples, self[f].runs, total[f].samples, total[f].runs, 0, 0};
        if (e.total_samples == 0)
            continue;
        if (gaps != NULL && e.self_samples > 0)
            e.self_variance_us2 = hp_error_whole_us2(hp_error_variance_of(gaps, e.self_samples, e.self_runs, t->samples, t->sampled_ns));
        if (gaps != NULL)
            e.total_variance_us2 = hp_error_whole_us2(hp_error_variance_of(gaps, e.total_samples, e.total_runs, t->samples, t->sampled_ns));
        assert_ok(hp_profile_add_estimate(p, &e));
    }
}

static void look(hp_profile *p, uint32_t thread, int stack, uint64_t ns) {
    uint32_t node = p->threads[thread].root;
    for (int i = 0; i < stacks[stack].depth; i++)
        node = hp_tree_child(&p->tree, node, (uint32_t)stacks[stack].functions[i] + 1);
    p->tree.nodes[node].samples++;
    p->tree.nodes[node].sampled += ns;
    p->threads[thread].samples++;
    p->threads[thread].sampled_ns += ns;
    p->threads[thread].measured_ns += ns;
}

static double gap_of(const session *s, uint64_t *random, hp_intervals *intervals) {
    double gap = (double)hp_intervals_next(intervals, 1e9 / s->gap);
    return s->late > 0 && hp_test_uniform(random) < s->late ? gap + exponential(random, 20 * s->gap) : gap;
}

static void sample_thread(const session *s, hp_profile *p, uint32_t thread, uint64_t *random, hp_intervals *intervals, truth *true_times) {
    state at = {.random = random};
    tally self[FUNCTIONS] = {0}, total[FUNCTIONS] = {0};
    double now = 0, until = 0, squares = 0, cubes = 0, end = s->samples * GAP;
    for (;;) {
        double gap = gap_of(s, random, intervals), to = now + gap;
        if (to > end)
            break;
        while (until <= to) {
            if (until > now)
                truth_add(true_times, at.stack, until - now);
            now = fmax(now, until);
            s->next(&at);
            until += at.length * GAP;
        }
        truth_add(true_times, at.stack, to - now);
        now = to;
        look(p, thread, at.stack, (uint64_t)gap);
        squares += gap * gap;
        cubes += gap * gap * gap;
        count(&self[stacks[at.stack].functions[stacks[at.stack].depth - 1]], p->threads[thread].samples);
        for (int i = 0; i < stacks[at.stack].depth; i++) {
            tally *t = &total[stacks[at.stack].functions[i]];
            if (t->samples == 0 || t->last != p->threads[thread].samples)
                count(t, p->threads[thread].samples);
        }
    }
    hp_gaps gaps = hp_gaps_measured(p->threads[thread].samples, (double)p->threads[thread].sampled_ns, squares, cubes);
    add_estimates(p, thread, self, total, s->measured && !hp_gaps_usual(&gaps) ? &gaps : NULL);
}

/* Truth up to the last sample of each thread: what lies behind it nobody was asked about. */
static hp_profile *sampled(const session *s, uint64_t *random, hp_intervals *intervals, truth *true_times) {
    hp_profile *p = NULL;
    *true_times = (truth){0};
    assert_ok(hp_profile_new(&p));
    for (int f = 0; f < FUNCTIONS; f++)
        assert_int_equal(hp_profile_function(p, &(hp_function){HP_CODE_PYTHON, "m", names[f], names[f], "m.py", 1}), f + 1);
    for (uint32_t t = 0; t < THREADS; t++) {
        assert_int_equal(hp_profile_add_thread(p, t == 0 ? "main" : "worker", t), t);
        sample_thread(s, p, t, random, intervals, true_times);
    }
    for (size_t i = 0; i < sizeof p->meta.id; i++)
        p->meta.id[i] = (uint8_t)hp_test_below(random, 256);
    p->meta.rate_hz = 1e9 / s->gap;
    assert_ok(hp_profile_summarize(p));
    return p;
}

/* --- what is counted ---------------------------------------------------------------------------------------------------------------------
 */

typedef struct score {
    uint64_t held, values;
} score;

static void judge(score *s, double said, double error, double true_value) {
    s->held += fabs(said - true_value) <= error;
    s->values++;
}

static const hp_row *row_of(const hp_profile *p, const char *name) {
    for (uint32_t i = 0; i < p->row_count; i++)
        if (strcmp(p->functions[p->rows[i].function].name, name) == 0)
            return &p->rows[i];
    return NULL;
}

enum { SELF, TOTAL, SHARE, DIFFERENCE, FIGURES };
static const char *const figures[FIGURES] = {"self time", "total time", "share", "difference"};

static void judge_profile(score *scores, const hp_profile *p, const truth *t) {
    double whole = 0;
    for (uint32_t i = 0; i < p->thread_count; i++)
        whole += (double)p->threads[i].sampled_ns;
    for (int f = 0; f < FUNCTIONS; f++) {
        const hp_row *row = row_of(p, names[f]);
        if (row == NULL)
            continue; /* the caller sees to it that each is there */
        judge(&scores[SELF], (double)row->self_sampled, (double)row->self_error_ns, t->self[f]);
        judge(&scores[SHARE], (double)row->self_sampled / whole, (double)row->self_error_ns / whole, t->self[f] / t->whole);
        if (f != RUN) /* always on the stack */
            judge(&scores[TOTAL], (double)row->total_sampled, (double)row->total_error_ns, t->total[f]);
    }
}

static void judge_difference(score *s, const hp_profile *old, const truth *before, const hp_profile *new, const truth *after) {
    for (int f = 0; f < FUNCTIONS; f++) {
        const hp_row *a = row_of(old, names[f]), *b = row_of(new, names[f]);
        if (a != NULL && b != NULL)
            judge(s, (double)b->self_sampled - (double)a->self_sampled, hypot((double)a->self_error_ns, (double)b->self_error_ns),
                  after->self[f] - before->self[f]);
    }
}

static void simulate(const session *s, score *scores) {
    uint64_t random = 4711;
    hp_intervals intervals;
    hp_profile *old = NULL;
    truth before = {0}, now;
    hp_intervals_init(&intervals, 3);
    for (int i = 0; i < PROFILES; i++) {
        hp_profile *p = sampled(s, &random, &intervals, &now);
        judge_profile(scores, p, &now);
        if (old != NULL)
            judge_difference(&scores[DIFFERENCE], old, &before, p, &now);
        hp_profile_free(old);
        old = p;
        before = now;
    }
    hp_profile_free(old);
}

static const struct {
    const char *name;
    program *next;
} programs[] = {{"steady", steady}, {"slow", slow}, {"phased", phased}, {"periodic", periodic}, {"bursty", bursty}};

/* 93 to 97 %, within what so many profiles can show: functions of one profile count as one, since they depend on one another. */
static void within(const char *name, double samples, const char *figure, const score *s, int profiles, double most) {
    double covered = 100.0 * (double)s->held / (double)s->values, unsure = 196.0 * sqrt(0.95 * 0.05 / profiles);
    double low = 93 - unsure, high = most + unsure;
    print_message("%-9s %4.0f samples, %-10s %.1f %% of %llu\n", name, samples, figure, covered, (unsigned long long)s->values);
    if (covered < low || covered > high)
        fail_msg("%s, %g samples: %s covered %.1f %%, not %g to %g", name, samples, figure, covered, low, high);
}

/* Of 150 samples three phases or fewer: a function that is hardly ever there is right in nearly all profiles (see test_error_bars.c). */
static void test_rows(void **state_) {
    (void)state_;
    static const double samples[] = {150, 1000};
    for (size_t n = 0; n < sizeof samples / sizeof *samples; n++)
        for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
            score scores[FIGURES] = {0};
            simulate(&(session){.next = programs[i].next, .samples = samples[n], .gap = GAP}, scores);
            for (int f = 0; f < FIGURES; f++)
                within(programs[i].name, samples[n], figures[f], &scores[f], PROFILES, programs[i].next == phased && n == 0 ? 100 : 97);
        }
}

/* Three profiles of different rates added up. */
static void test_merged(void **state_) {
    (void)state_;
    static const double gaps[] = {0.5e6, 1e6, 3e6};
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        uint64_t random = 99;
        hp_intervals intervals;
        score scores[FIGURES] = {0};
        hp_intervals_init(&intervals, 8);
        for (int n = 0; n < PROFILES / 3; n++) {
            truth sum = {0}, one;
            hp_merge *merge = NULL;
            hp_profile *out = NULL;
            assert_ok(hp_merge_new(&merge));
            for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++) {
                bool added;
                hp_profile *p = sampled(&(session){.next = programs[i].next, .samples = 300, .gap = gaps[g]}, &random, &intervals, &one);
                assert_ok(hp_merge_add(merge, p, &added, NULL));
                assert_true(added);
                for (int f = 0; f < FUNCTIONS; f++) {
                    sum.self[f] += one.self[f];
                    sum.total[f] += one.total[f];
                }
                sum.whole += one.whole;
                hp_profile_free(p);
            }
            assert_ok(hp_merge_finish(merge, &out, NULL));
            judge_profile(scores, out, &sum);
            hp_profile_free(out);
            hp_merge_free(merge);
        }
        for (int f = 0; f < DIFFERENCE; f++)
            within(programs[i].name, 900, figures[f], &scores[f], PROFILES / 3, 97);
    }
}

/* A sampler that comes too late one time in twenty, by some twenty gaps: what it drew says nothing of the gaps that it left. */
static void test_late_sampler(void **state_) {
    (void)state_;
    double least = 100;
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        score blind[FIGURES] = {0}, scores[FIGURES] = {0};
        session s = {.next = programs[i].next, .samples = 1000, .gap = GAP, .late = 0.05};
        simulate(&s, blind);
        s.measured = true;
        simulate(&s, scores);
        for (int f = 0; f < FIGURES; f++) {
            within(programs[i].name, s.samples, figures[f], &scores[f], PROFILES, 97);
            least = fmin(least, 100.0 * (double)blind[f].held / (double)blind[f].values);
        }
    }
    print_message("as if it had come in time: %.1f %% at worst\n", least);
    assert_true(least < 85); /* else the gaps need not be measured */
}

/* What the sampler draws is called usual, whatever chance does to some of it; what is far more uneven is not. */
static void test_gaps(void **state_) {
    (void)state_;
    uint64_t random = 12;
    hp_intervals intervals;
    hp_intervals_init(&intervals, 6);
    int usual[2] = {0};
    for (int i = 0; i < 2000; i++) {
        double sums[2][3] = {{0}};
        for (int n = 0; n < 500; n++)
            for (int late = 0; late < 2; late++) {
                session s = {.gap = GAP, .late = late * 0.05};
                double gap = gap_of(&s, &random, &intervals);
                sums[late][0] += gap;
                sums[late][1] += gap * gap;
                sums[late][2] += gap * gap * gap;
            }
        for (int late = 0; late < 2; late++) {
            hp_gaps gaps = hp_gaps_measured(500, sums[late][0], sums[late][1], sums[late][2]);
            usual[late] += hp_gaps_usual(&gaps);
        }
    }
    assert_true(usual[0] > 1500);
    assert_true(usual[1] < 100);
    hp_gaps none = hp_gaps_measured(0, 0, 0, 0), still = hp_gaps_measured(100, 0, 0, 0), even = hp_gaps_measured(100, 100, 100, 100);
    assert_true(hp_gaps_usual(&none) && hp_gaps_usual(&still) && hp_gaps_usual(&even));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gaps), cmocka_unit_test(test_rows), cmocka_unit_test(test_merged),
                                       cmocka_unit_test(test_late_sampler)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
