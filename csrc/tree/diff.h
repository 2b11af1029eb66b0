/* SPDX-License-Identifier: MIT */
/* What changed between two profiles, function by function, and whether it is more than noise.
 *
 * Matching. Code that was edited has other lines, and another machine other folders: a function is the same where kind, module and
 * qualified name are, and where the module says nothing ("" or `__main__`) the file's name too. Where several share that (lambdas), those
 * of the same file and line are the same; the others in their order, if both sides have as many, and else none. Beside a pstats file, which
 * knows no modules, what is left is matched by its qualified name and its file's.
 *
 * Noise. A sampled time is known to within its error bar, but two runs of one program really take different times: the machine is faster or
 * slower (all functions alike), and memory, caches and hashes fall differently (each function by itself). Neither can be had from one run;
 * both can be had from the many functions of two, most of which did not change:
 *
 *   scale        new / base for what did not change: the mean of the functions' ratios by precision, where those far off weigh little (so
 * that a few that changed do not move it), and of a machine's drift, HP_DIFF_DRIFT about 1. The idea is that of DESeq's size factors
 *                (Anders & Huber, Genome Biology 11:R106, 2010). It takes up a slower machine as well as a longer run.
 *   run_to_run   the relative deviation that, added to the sampling error, makes the middle of the functions' deviations from the scale
 * what it is in noise: an empirical null (Efron, JASA 99:96, 2004), never below HP_DIFF_LEAST_DEVIATION. HP_DIFF_PRIOR functions that did
 * not change are thought to be there besides, so that one that did among few does not pass for noise.
 *
 * A self time is held against the scale of the other functions, with that scale's own error; so the only function of a program is held
 * against the drift alone. It changed where new - scale * base is too large for noise, the rate of false discoveries among all such held at
 * 5 % (Benjamini & Hochberg, J. R. Statist. Soc. B 57:289, 1995), each function weighted by its time, so that it is easiest to find what
 * matters most (Genovese, Roeder & Wasserman, Biometrika 93:509, 2006). Tested is only what has enough time for an answer (Bourgon,
 * Gentleman & Huber, PNAS 107:9546, 2010): ten samples, and a thousandth of the whole.
 *
 * The interval of such a deviation is at the level at which its verdict was found: it is without 0 if and only if the function is called
 * changed. As verdicts take all functions into account so does it (Benjamini & Yekutieli, JASA 100:71, 2005); and since no verdict is given
 * on a p above 5 %, whatever the weight, it is never below 95 %. What was not tested is not known to have changed: its interval reaches
 * to 0. */
#ifndef HP_TREE_DIFF_H
#define HP_TREE_DIFF_H

#include "tree/profile.h"

#define HP_DIFF_LEAST_DEVIATION 0.01 /* of a function's time, from run to run */
#define HP_DIFF_DRIFT 0.03           /* of a machine's speed, from run to run */
#define HP_DIFF_FALSE_RATE 0.05
#define HP_DIFF_UNRELATED 0.2 /* less of the time than this in functions of both: two different programs */
enum { HP_DIFF_PRIOR = 3 };

typedef enum hp_compare {
    HP_COMPARE_AUTO,  /* scale as above */
    HP_COMPARE_TIME,  /* scale 1: what took longer is slower */
    HP_COMPARE_SHARE, /* scale: the ratio of all time; shares are compared */
} hp_compare;

/* Times in ns. p: of so large a deviation in noise; q: the false rate at which it would just count as changed; both 1 where it was not
 * tested.
 */
typedef struct hp_change {
    uint64_t base_ns, new_ns;
    double error_ns; /* half width of the 95 % interval of new_ns - base_ns, run to run deviation included */
    double relative; /* new / (scale * base) - 1, the scale without the function itself; infinite where base is 0 */
    double p, q;
    bool significant;
    double deviation_ns, deviation_error_ns; /* new - scale * base, that scale, and its interval: without 0 where significant. Whole ns */
} hp_change;

/* Rows of the profiles, HP_NO_FUNCTION where the function is in one of them only. */
typedef struct hp_diff_row {
    uint32_t base, new;
    hp_change self, total;
} hp_diff_row;

typedef struct hp_diff {
    hp_diff_row *rows; /* in the order of base's rows, then what is only in new */
    uint32_t row_count;
    double scale, run_to_run;
    uint64_t whole_base_ns, whole_new_ns;
    double common_base, common_new; /* shares of their time in functions of both, 0 to 1 */
    bool unrelated;
    uint32_t tested, changed; /* by self time */
} hp_diff;

/* HP_BAD_VALUE and a sentence where their clocks differ. */
hp_status hp_diff_new(const hp_profile *base, const hp_profile *new, hp_compare compare, hp_diff **out, hp_error *error);
void hp_diff_free(hp_diff *diff);

/* Both trees in one profile for writers of stacks: base's self time as `sampled`, new's, divided by `scale`, as `exact`. Not summarized. */
hp_status hp_diff_stacks(const hp_profile *base, const hp_profile *new, double scale, hp_profile **out);

/* tree/diff_match.c: for each row of either the row of the other, or HP_NO_FUNCTION. */
hp_status hp_diff_match(const hp_profile *base, const hp_profile *new, uint32_t *to_new, uint32_t *to_base);
/* tree/diff_noise.c: scale (where `compare` leaves it open) and run_to_run, then the verdicts on all rows. */
hp_status hp_diff_judge(hp_diff *diff, const hp_profile *base, const hp_profile *new, hp_compare compare);

#endif
