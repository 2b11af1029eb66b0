/* SPDX-License-Identifier: MIT */
#include "tracer/looks.h"

static double sum_of(hp_look look) {
    return look.callee + look.caller;
}

void hp_looks_add(hp_looks *looks, hp_look look) {
    double sum = sum_of(look);
    if (look.bare > 0 && (looks->bare <= 0 || look.bare < looks->bare))
        looks->bare = look.bare;
    if (looks->count == 0 || sum < looks->callee + looks->caller) {
        looks->callee = look.callee;
        looks->caller = look.caller;
    }
    if (looks->count == 0 || sum > looks->highest)
        looks->highest = sum;
    looks->count++;
}

static double cost_of(const hp_looks *looks, double sum) {
    return looks->count > 0 && looks->bare > 0 && sum > looks->bare ? sum - looks->bare : 0;
}

hp_look_cost hp_looks_cost(const hp_looks *looks) {
    double all = cost_of(looks, looks->callee + looks->caller);
    double inside = looks->callee - looks->bare / 4; /* an empty body is about a quarter of an empty call */
    inside = inside < 0 ? 0 : inside > all ? all : inside;
    return (hp_look_cost){inside, all - inside};
}

double hp_looks_spread(const hp_looks *looks) {
    double lowest = cost_of(looks, looks->callee + looks->caller), highest = cost_of(looks, looks->highest);
    return lowest > 0 ? (highest - lowest) / lowest : 0;
}

bool hp_looks_is_high(const hp_looks *looks, hp_look look) {
    double lowest = cost_of(looks, looks->callee + looks->caller);
    return lowest > 0 && cost_of(looks, sum_of(look)) > (1 + HP_LOOKS_AGREE) * lowest;
}
