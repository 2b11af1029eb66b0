/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tree/diff.h"
#include "tree/error_bars.h"

static const double NORMAL_95 = 1.959963984540054;
static const double LEAST_P = 1e-15;                  /* below it the distribution is lost in rounding */
static const double MEDIAN_CHI2 = 0.4549364231195724; /* of a squared normal deviate */
/* What an exact time owes to the moment: the scheduler takes and gives some such slices, ns. */
static const double EXACT_SLICE = 1e5;
enum { LEAST_SAMPLES = 10, HALVINGS = 60, ROUNDS = 10 };

static double square(double x) {
    return x * x;
}

/* One side of one row. */
typedef struct known {
    double ns, variance;
} known;

/* Of `sampled` ns with this half width; a pstats file keeps none, and then samples count as independent ones. */
static known known_of(uint64_t sampled, uint64_t exact, uint64_t error_ns, double gap) {
    double sampling = error_ns == 0 && sampled > 0 ? hp_error_unseen(1.0) * gap * (double)sampled : square((double)error_ns / NORMAL_95);
    return (known){(double)sampled + (double)exact, sampling + EXACT_SLICE * (double)exact};
}

static known self_of(const hp_profile *profile, uint32_t row, double gap) {
    if (row == HP_NO_FUNCTION)
        return (known){0.0, hp_error_unseen(gap)};
    const hp_row *r = &profile->rows[row];
    return known_of(r->self_sampled, r->self_exact, r->self_error_ns, gap);
}

static known total_of(const hp_profile *profile, uint32_t row, double gap) {
    if (row == HP_NO_FUNCTION)
        return (known){0.0, hp_error_unseen(gap)};
    const hp_row *r = &profile->rows[row];
    return known_of(r->total_sampled, r->total_exact, r->total_error_ns, gap);
}

/* The time that a sample stands for; 0 where nothing was sampled. */
static double gap_of(const hp_profile *profile) {
    uint64_t samples = 0;
    double ns = 0.0;
    for (uint32_t i = 0; i < profile->thread_count; i++) {
        samples += profile->threads[i].samples;
        ns += (double)profile->threads[i].sampled_ns;
    }
    if (samples > 0)
        return ns / (double)samples;
    return profile->meta.rate_hz > 0.0 ? 1e9 / profile->meta.rate_hz : 0.0;
}

static double runs_of(const hp_profile *profile) {
    return profile->source_count > 1 ? (double)profile->source_count : 1.0;
}

/* --- the noise of the pair ------------------------------------------------------------------------------------------------------------ */

/* A function of both whose times are known well enough: the logarithm of new / base, and its sampling variance. */
typedef struct ratio {
    uint32_t row;
    double log, variance;
    double weight; /* in the scale: its precision, less where it is far from the others */
} ratio;

typedef struct noise {
    const hp_profile *base, *new;
    double base_gap, new_gap;
    double base_whole, new_whole;
    ratio *ratios;
    double *room; /* as many, and the prior's */
    uint32_t count;
    double deviation; /* run to run, relative */
    /* The scale and how well it is known. Fixed where the user said how to compare. */
    bool fixed;
    double scale;                /* as it is shown */
    double expected;             /* logarithm of the scale before anything is known */
    double weight_sum, weighted; /* of all ratios */
} noise;

static void add_ratio(noise *n, uint32_t number, const hp_diff_row *row) {
    static const double well_known = 0.3;
    if (row->base == HP_NO_FUNCTION || row->new == HP_NO_FUNCTION)
        return;
    known base = self_of(n->base, row->base, n->base_gap), new = self_of(n->new, row->new, n->new_gap);
    if (base.ns <= 0.0 || new.ns <= 0.0)
        return;
    double variance = base.variance / square(base.ns) + new.variance / square(new.ns);
    if (variance < square(well_known))
        n->ratios[n->count++] = (ratio){number, log(new.ns / base.ns), variance, 0.0};
}

static int number_order(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *numbers, uint32_t count) {
    qsort(numbers, count, sizeof *numbers, number_order);
    return count % 2 != 0 ? numbers[count / 2] : (numbers[count / 2 - 1] + numbers[count / 2]) / 2.0;
}

/* Where a search for the scale begins: one that changed, or a few, cannot move it. */
static double median_log(const noise *n) {
    for (uint32_t i = 0; i < n->count; i++)
        n->room[i] = n->ratios[i].log;
    for (uint32_t i = 0; i < HP_DIFF_PRIOR; i++)
        n->room[n->count + i] = n->expected;
    return median(n->room, n->count + HP_DIFF_PRIOR);
}

/* Less for what is far off, as if deviations were Student's with four degrees of freedom. */
static double trust(double off, double variance) {
    return 5.0 / (4.0 + square(off) / variance);
}

/* A scale, as a logarithm, and its variance. */
typedef struct yardstick {
    double center, variance;
} yardstick;

/* From the sums over some functions, and what a machine's drift makes probable beside them. */
static yardstick combine(const noise *n, double weight_sum, double weighted) {
    bool any = weight_sum > 1e-9; /* what is left when a function is taken from a sum of itself is rounding */
    double off = any ? weighted / weight_sum - n->expected : 0.0;
    double prior = trust(off, square(HP_DIFF_DRIFT) + (any ? 1.0 / weight_sum : 0.0)) / square(HP_DIFF_DRIFT);
    double sum = prior + (any ? weight_sum : 0.0);
    return (yardstick){(prior * n->expected + (any ? weighted : 0.0)) / sum, 1.0 / sum};
}

/* The mean of the ratios, weighted by precision. */
static double fit_scale(noise *n) {
    double center = median_log(n);
    for (int round = 0; round < ROUNDS; round++) {
        n->weight_sum = n->weighted = 0.0;
        for (uint32_t i = 0; i < n->count; i++) {
            ratio *r = &n->ratios[i];
            double variance = r->variance + square(n->deviation);
            r->weight = trust(r->log - center, variance) / variance;
            n->weight_sum += r->weight;
            n->weighted += r->weight * r->log;
        }
        center = combine(n, n->weight_sum, n->weighted).center;
    }
    return center;
}

/* The middle of the squared deviations, in units of what sampling and a run to run deviation would make them. */
static double middle(const noise *n, double center, double deviation) {
    for (uint32_t i = 0; i < n->count; i++)
        n->room[i] = square(n->ratios[i].log - center) / (n->ratios[i].variance + square(deviation));
    for (uint32_t i = 0; i < HP_DIFF_PRIOR; i++)
        n->room[n->count + i] = MEDIAN_CHI2 * square(HP_DIFF_LEAST_DEVIATION / deviation);
    return median(n->room, n->count + HP_DIFF_PRIOR);
}

/* The more deviation is allowed for, the smaller the middle: halving finds where it is that of noise. */
static double fit_deviation(const noise *n, double center) {
    double low = HP_DIFF_LEAST_DEVIATION, high = 2.0;
    if (middle(n, center, low) <= MEDIAN_CHI2)
        return low;
    for (int i = 0; i < HALVINGS; i++) {
        double half = (low + high) / 2.0;
        if (middle(n, center, half) > MEDIAN_CHI2)
            low = half;
        else
            high = half;
    }
    return high;
}

/* Chance of a deviate of Student's t with sixteen degrees of freedom beyond +-t. Not the normal distribution: runs of one program now and
 * then differ by more than it allows for. The sum is the one for even degrees (Abramowitz & Stegun 26.7.4). */
static double chance_beyond(double t) {
    double cosine2 = 16.0 / (16.0 + square(t)), term = 1.0, sum = 1.0;
    for (int i = 1; i < 8; i++)
        sum += term *= cosine2 * (2.0 * i - 1.0) / (2.0 * i);
    return fmax(1.0 - sqrt(1.0 - cosine2) * sum, LEAST_P);
}

/* --- verdicts ------------------------------------------------------------------------------------------------------------------------- */

/* Fills what one pair of times tells; p is 1 where there is too little time to tell. */
static void judge(const noise *n, hp_change *change, known base, known new, yardstick held) {
    double scale = exp(held.center), expected = scale * base.ns, larger = fmax(expected, new.ns);
    double least = LEAST_SAMPLES * fmax(n->new_gap, scale * n->base_gap);
    double whole = fmax(scale * n->base_whole, n->new_whole);
    double sampling = square(scale) * base.variance + new.variance;
    double run_to_run = square(n->deviation * (expected + new.ns) / 2.0) + held.variance * square(expected);
    change->error_ns = NORMAL_95 * sqrt(base.variance + new.variance + square(n->deviation * (base.ns + new.ns) / 2.0));
    change->relative = expected > 0.0 ? new.ns / expected - 1.0 : new.ns > 0.0 ? INFINITY : 0.0;
    change->p = change->q = 1.0;
    change->deviation_ns = new.ns - expected;
    change->deviation_error_ns = sqrt(sampling + run_to_run); /* a standard deviation, until the level is known */
    if (larger >= least && larger >= 1e-3 * whole && sampling + run_to_run > 0.0)
        change->p = chance_beyond((new.ns - expected) / sqrt(sampling + run_to_run));
}

static double time_of(const hp_change *change) {
    return (double)change->base_ns + (double)change->new_ns;
}

/* `q` holds the weighted p until the true q is known. */
static int change_order(const void *a, const void *b) {
    double x = (*(hp_change *const *)a)->q, y = (*(hp_change *const *)b)->q;
    return x < y ? -1 : x > y;
}

/* p by weight; weights are shares of the time tested (`whole`), of mean 1. No weight makes much of a p that is above the false rate alone:
 * thresholds that are lowered control the rate as well. Returns how many were tested: they come first. */
static uint32_t weigh(hp_change **changes, uint32_t count, double *whole_ns) {
    uint32_t tested = 0;
    double whole = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        if (changes[i]->p >= 1.0)
            continue;
        hp_change *swap = changes[tested];
        changes[tested++] = changes[i];
        changes[i] = swap;
    }
    for (uint32_t i = 0; i < tested; i++)
        whole += time_of(changes[i]);
    for (uint32_t i = 0; i < tested; i++)
        changes[i]->q = changes[i]->p > HP_DIFF_FALSE_RATE ? INFINITY : changes[i]->p * whole / (time_of(changes[i]) * tested);
    *whole_ns = whole;
    return tested;
}

/* The deviate beyond which there is this chance. */
static double deviate_of(double chance) {
    double low = 0.0, high = 100.0;
    for (int i = 0; i < HALVINGS; i++) {
        double half = (low + high) / 2.0;
        if (chance_beyond(half) > chance)
            low = half;
        else
            high = half;
    }
    return high;
}

/* At the level of the verdict: with k changed ones p was held against rate * share * k. Rounding is not to contradict it. */
static void set_interval(hp_change *change, bool is_tested, double whole, uint32_t significant) {
    double share = is_tested && whole > 0.0 ? time_of(change) / whole : 1.0;
    double level = HP_DIFF_FALSE_RATE * fmin(share * (significant > 0 ? significant : 1), 1.0);
    double deviation = round(change->deviation_ns), error = round(change->deviation_error_ns * deviate_of(level));
    change->deviation_ns = deviation;
    change->deviation_error_ns = change->significant ? fmin(error, fabs(deviation) - 1.0) : fmax(error, fabs(deviation));
}

/* Benjamini and Hochberg: q of the k-th smallest p of m is the least p * m / k from there on. */
static uint32_t control(hp_change **changes, uint32_t count, uint32_t *significant) {
    double whole = 0.0, q = 1.0;
    uint32_t tested = weigh(changes, count, &whole);
    qsort(changes, tested, sizeof *changes, change_order);
    for (uint32_t k = tested; k > 0; k--) {
        q = fmin(q, changes[k - 1]->q * tested / k);
        changes[k - 1]->q = q;
        changes[k - 1]->significant = q <= HP_DIFF_FALSE_RATE;
        *significant += changes[k - 1]->significant;
    }
    for (uint32_t i = 0; i < count; i++)
        set_interval(changes[i], i < tested, whole, *significant);
    return tested;
}

/* Totals are held against all functions, self times against the others: a function is not to be its own yardstick. */
static void judge_rows(const noise *n, hp_diff *diff) {
    yardstick all = n->fixed ? (yardstick){log(diff->scale), 0.0} : combine(n, n->weight_sum, n->weighted);
    uint32_t next = 0;
    for (uint32_t i = 0; i < diff->row_count; i++) {
        hp_diff_row *row = &diff->rows[i];
        yardstick others = all;
        if (next < n->count && n->ratios[next].row == i) { /* ratios are in the order of rows */
            const ratio *own = &n->ratios[next++];
            if (!n->fixed)
                others = combine(n, n->weight_sum - own->weight, n->weighted - own->weight * own->log);
        }
        judge(n, &row->self, self_of(n->base, row->base, n->base_gap), self_of(n->new, row->new, n->new_gap), others);
        judge(n, &row->total, total_of(n->base, row->base, n->base_gap), total_of(n->new, row->new, n->new_gap), all);
    }
}

static void control_all(hp_diff *diff, hp_change **changes) {
    uint32_t ignored = 0;
    for (uint32_t i = 0; i < diff->row_count; i++)
        changes[i] = &diff->rows[i].self;
    diff->tested = control(changes, diff->row_count, &diff->changed);
    for (uint32_t i = 0; i < diff->row_count; i++)
        changes[i] = &diff->rows[i].total;
    (void)control(changes, diff->row_count, &ignored);
}

/* The deviation needs a scale and the scale a deviation: twice is enough. Two functions do not make a scale that could be shown. */
static void fit(noise *n, hp_diff *diff, hp_compare compare) {
    double center = median_log(n);
    for (int round = 0; round < 2; round++) {
        n->deviation = fit_deviation(n, center);
        center = fit_scale(n);
    }
    diff->run_to_run = n->deviation;
    diff->scale = n->scale = n->count > 2 ? exp(center) : exp(n->expected);
    if (compare == HP_COMPARE_AUTO)
        return;
    bool whole = compare == HP_COMPARE_SHARE && n->base_whole > 0.0 && n->new_whole > 0.0;
    diff->scale = n->scale = whole ? n->new_whole / n->base_whole : 1.0;
    n->fixed = true;
}

hp_status hp_diff_judge(hp_diff *diff, const hp_profile *base, const hp_profile *new, hp_compare compare) {
    noise n = {.base = base, .new = new, .base_gap = gap_of(base), .new_gap = gap_of(new)};
    hp_status status = HP_NO_MEMORY;
    hp_change **changes = malloc(((size_t)diff->row_count + 1) * sizeof *changes);
    n.ratios = malloc(((size_t)diff->row_count + 1) * sizeof *n.ratios);
    n.room = malloc(((size_t)diff->row_count + HP_DIFF_PRIOR) * sizeof *n.room);
    if (changes == NULL || n.ratios == NULL || n.room == NULL)
        goto done;
    n.base_whole = (double)diff->whole_base_ns;
    n.new_whole = (double)diff->whole_new_ns;
    n.expected = log(runs_of(new) / runs_of(base));
    for (uint32_t i = 0; i < diff->row_count; i++)
        add_ratio(&n, i, &diff->rows[i]);
    fit(&n, diff, compare);
    judge_rows(&n, diff);
    control_all(diff, changes);
    status = HP_OK;
done:
    free(changes);
    free(n.ratios);
    free(n.room);
    return status;
}
