/* SPDX-License-Identifier: MIT */
#include "profiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000000)

static hp_profile *begin(void) {
    hp_profile *profile = NULL;
    if (hp_profile_new(&profile) != HP_OK)
        abort();
    profile->meta.python = hp_profile_string(profile, "3.13.0");
    profile->meta.program = hp_profile_string(profile, "app.py --once");
    profile->meta.pid = 4321;
    profile->meta.started_ns = INT64_C(1700000000000000000);
    profile->meta.duration_ns = 10000 * MS;
    return profile;
}

static hp_profile *end(hp_profile *profile) {
    for (uint32_t i = 0; i < profile->tree.count; i++)
        profile->meta.samples_kept += profile->tree.nodes[i].samples;
    profile->meta.rate_hz = profile->meta.samples_kept != 0 ? 100 : 0;
    if (hp_profile_summarize(profile) != HP_OK)
        abort();
    return profile;
}

static uint32_t thread(hp_profile *profile, const char *name, uint64_t id) {
    uint32_t index = hp_profile_add_thread(profile, name, id);
    if (index == HP_NO_NODE)
        abort();
    return profile->threads[index].root;
}

/* The last part of the qualname is the name. */
static uint32_t python(hp_profile *profile, const char *module, const char *qualname, const char *file, uint32_t line) {
    const char *dot = strrchr(qualname, '.');
    hp_function function = {HP_CODE_PYTHON, module, qualname, dot != NULL ? dot + 1 : qualname, file, line};
    return hp_profile_function(profile, &function);
}

static uint32_t other(hp_profile *profile, hp_code_kind kind, const char *name) {
    hp_function function = {kind, "", name, name, "", 0};
    return hp_profile_function(profile, &function);
}

static uint32_t child(hp_profile *profile, uint32_t parent, uint32_t function) {
    return hp_tree_child(&profile->tree, parent, function);
}

/* One sample stands for 10 ms. `line` 0: not known. */
static void sampled(hp_profile *profile, uint32_t node, uint64_t ms, uint32_t line) {
    uint64_t samples = (ms + 9) / 10;
    profile->tree.nodes[node].samples += samples;
    profile->tree.nodes[node].sampled += ms * MS;
    if (line != 0 && hp_profile_add_line(profile, &(hp_line){.node = node, .line = line, .samples = samples, .sampled = ms * MS}) != HP_OK)
        abort();
}

static void exact(hp_profile *profile, uint32_t node, uint64_t calls, uint64_t ms) {
    profile->tree.nodes[node].calls += calls;
    profile->tree.nodes[node].exact += ms * MS;
}

/* main -> load -> parse, main -> render -> sorted, only sampled. */
static hp_profile *make_plain(void) {
    hp_profile *p = begin();
    uint32_t root = thread(p, "MainThread", 11);
    uint32_t module = child(p, root, python(p, "__main__", "<module>", "/srv/app/app.py", 1));
    uint32_t run = child(p, module, python(p, "__main__", "main", "/srv/app/app.py", 10));
    uint32_t load = child(p, run, python(p, "shop.store", "Store.load", "/srv/app/shop/store.py", 21));
    uint32_t parse = child(p, load, python(p, "shop.store", "parse", "/srv/app/shop/store.py", 40));
    uint32_t render = child(p, run, python(p, "shop.page", "render", "/srv/app/shop/page.py", 7));
    uint32_t sorted = child(p, render, other(p, HP_CODE_C, "<built-in method builtins.sorted>"));
    sampled(p, module, 130, 3);
    sampled(p, run, 370, 12);
    sampled(p, run, 500, 14);
    sampled(p, load, 1500, 23);
    sampled(p, load, 250, 0);
    sampled(p, parse, 2250, 41);
    sampled(p, parse, 1000, 44);
    sampled(p, render, 3000, 9);
    sampled(p, sorted, 1000, 0);
    return end(p);
}

/* even <-> odd and factorial, exact. */
static hp_profile *make_recursive(void) {
    hp_profile *p = begin();
    uint32_t root = thread(p, "MainThread", 11);
    uint32_t even = python(p, "numbers_", "even", "/srv/numbers_.py", 1), odd = python(p, "numbers_", "odd", "/srv/numbers_.py", 5);
    uint32_t factorial = python(p, "numbers_", "factorial", "/srv/numbers_.py", 9);
    uint32_t run = child(p, root, python(p, "numbers_", "run", "/srv/numbers_.py", 20));
    exact(p, run, 1, 51);
    uint32_t at = run;
    for (uint32_t i = 0; i < 6; i++) {
        at = child(p, at, i % 2 == 0 ? even : odd);
        exact(p, at, 10, 250 - 40 * i);
    }
    at = run;
    for (uint32_t i = 0; i < 5; i++) {
        at = child(p, at, factorial);
        exact(p, at, 3, 800 + 100 * i);
    }
    uint32_t odd_first = child(p, run, odd);
    exact(p, odd_first, 2, 1249);
    exact(p, child(p, odd_first, even), 2, 1800);
    exact(p, child(p, odd_first, factorial), 1, 1000);
    return end(p);
}

/* One name and line in two __init__.py; and lambdas of one line, which share a pstats key, where one calls the other, also through a third.
 */
static hp_profile *make_same_names(void) {
    hp_profile *p = begin();
    uint32_t root = thread(p, "MainThread", 11);
    uint32_t run = child(p, root, python(p, "pkg", "run", "/srv/pkg/run.py", 1));
    uint32_t one = child(p, run, python(p, "pkg.a", "setup", "/srv/pkg/a/__init__.py", 3));
    uint32_t two = child(p, one, python(p, "pkg.b", "setup", "/srv/pkg/b/__init__.py", 3));
    uint32_t outer = child(p, run, python(p, "pkg", "run.<locals>.<lambda>", "/srv/pkg/run.py", 8));
    uint32_t apply = child(p, outer, python(p, "pkg", "apply", "/srv/pkg/run.py", 30));
    uint32_t inner = child(p, apply, python(p, "pkg", "run.<locals>.other.<locals>.<lambda>", "/srv/pkg/run.py", 8));
    exact(p, run, 1, 500);
    exact(p, one, 4, 1500);
    exact(p, two, 4, 2000);
    exact(p, outer, 2, 1000);
    exact(p, apply, 2, 2000);
    exact(p, inner, 6, 3000);
    return end(p);
}

/* Each resumption is a call, by the CPU clock. */
static hp_profile *make_generators(void) {
    hp_profile *p = begin();
    p->meta.clock = HP_CLOCK_CPU;
    uint32_t root = thread(p, "MainThread", 11);
    uint32_t main_ = child(p, root, python(p, "flow", "main", "/srv/flow.py", 1));
    uint32_t total = child(p, main_, other(p, HP_CODE_C, "<built-in method builtins.sum>"));
    uint32_t squares = child(p, total, python(p, "flow", "squares", "/srv/flow.py", 5));
    uint32_t numbers = child(p, squares, python(p, "flow", "numbers", "/srv/flow.py", 9));
    uint32_t genexpr = child(p, total, python(p, "flow", "main.<locals>.<genexpr>", "/srv/flow.py", 2));
    exact(p, main_, 1, 1000);
    exact(p, total, 2, 2000);
    exact(p, squares, 1001, 3000);
    exact(p, numbers, 1001, 2500);
    exact(p, genexpr, UINT64_C(5000000000), 1500);
    return end(p);
}

/* Two threads and a half: sampled, exact beneath a target, a block, functions that are both. */
static hp_profile *make_mixed(void) {
    hp_profile *p = begin();
    uint32_t first = thread(p, "MainThread", 11), second = thread(p, "worker-1", 12);
    thread(p, "idle", 13);
    uint32_t loads = python(p, "json", "loads", "/usr/lib/python3.13/json/__init__.py", 299);
    uint32_t serve = child(p, first, python(p, "web", "Server.serve", "/srv/web.py", 100));
    uint32_t checkout = child(p, serve, python(p, "shop.cart", "checkout", "/srv/shop/cart.py", 12));
    uint32_t price = child(p, checkout, python(p, "shop.cart", "price", "/srv/shop/cart.py", 30));
    sampled(p, serve, 1200, 104);
    sampled(p, serve, 300, 110);
    exact(p, checkout, 20, 800);
    exact(p, price, 240, 1600);
    exact(p, child(p, price, loads), 240, 600);
    sampled(p, child(p, serve, loads), 500, 340);
    uint32_t report = child(p, second, python(p, "jobs", "report", "/srv/jobs.py", 3));
    uint32_t block = child(p, report, other(p, HP_CODE_BLOCK, "nightly-report"));
    sampled(p, report, 1000, 5);
    exact(p, block, 1, 2000);
    exact(p, child(p, block, other(p, HP_CODE_C, "<method 'join' of 'str' objects>")), 7, 500);
    sampled(p, child(p, report, other(p, HP_CODE_SYNTHETIC, "<unresolved>")), 1500, 0);
    return end(p);
}

/* Names from the worst of programs. */
static hp_profile *make_hostile(void) {
    static const char *const names[] = {"f 42",
                                        "new\nline",
                                        "tab\tand\rreturn",
                                        "semi;colon",
                                        "</script>",
                                        "\xed\xb2\x80",
                                        "(12)",
                                        "calls=7 3",
                                        "line\xe2\x80\xa8separator",
                                        "\x0b\x1b[31m\x7f",
                                        "",
                                        "na\xc3\xafve\xf0\x9f\x90\x8d",
                                        "fn=x",
                                        "\xc2\x85next",
                                        "back\\slash %s",
                                        "# comment",
                                        "\xff\xfe broken",
                                        "two  spaces "};
    hp_profile *p = begin();
    uint32_t at = thread(p, "T;1 </script>\n\xed\xa0\x80", 11);
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++) {
        char file[64];
        snprintf(file, sizeof file, "/srv/%s/x;y.py", i == 4 ? "plain" : names[i]);
        hp_function function = {HP_CODE_PYTHON, i % 3 == 0 ? names[i] : "mod", names[i], names[i], file, i * 7};
        uint32_t node = child(p, i % 4 == 0 ? at : child(p, at, hp_profile_function(p, &function)), hp_profile_function(p, &function));
        sampled(p, node, i < 17 ? 550 : 300, i * 7);
        exact(p, child(p, node, other(p, HP_CODE_BLOCK, names[i])), 1, i == 17 ? 350 : 0);
    }
    return end(p);
}

const hp_fixture hp_fixtures[] = {{"plain", make_plain},
                                  {"recursive", make_recursive},
                                  {"same_names", make_same_names},
                                  {"generators", make_generators},
                                  {"mixed", make_mixed},
                                  {"hostile", make_hostile},
                                  {NULL, NULL}};

hp_profile *hp_fixture_make(const char *name) {
    for (size_t i = 0; hp_fixtures[i].name != NULL; i++) {
        if (strcmp(hp_fixtures[i].name, name) == 0)
            return hp_fixtures[i].make();
    }
    abort();
}

/* xorshift64*: the same numbers on every machine. */
static uint64_t draw(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static uint32_t below(uint64_t *state, uint32_t limit) {
    return (uint32_t)((draw(state) >> 33) % (limit != 0 ? limit : 1));
}

hp_profile *hp_fixture_random(uint64_t seed, uint32_t nodes, uint32_t functions, uint32_t depth, uint32_t threads) {
    hp_profile *p = begin();
    uint64_t state = seed * 2 + 1;
    uint32_t first = 0;
    for (uint32_t i = 0; i < threads; i++)
        thread(p, "worker", i + 1);
    for (uint32_t i = 0; i < functions; i++) {
        char name[32], module[32], file[64];
        snprintf(name, sizeof name, "function_%u", i);
        snprintf(module, sizeof module, "package.module%u", i / 16);
        snprintf(file, sizeof file, "/usr/lib/python3/package/module%u.py", i / 16);
        uint32_t id = python(p, module, name, file, 10 + i % 16 * 20);
        first = i == 0 ? id : first;
    }
    for (uint32_t tries = 0; p->tree.count < nodes && tries < 8 * nodes; tries++) {
        uint32_t node = p->threads[below(&state, threads)].root;
        for (uint32_t left = 1 + below(&state, depth); left > 0 && p->tree.count < nodes; left--)
            node = child(p, node, first + below(&state, functions));
        if (below(&state, 4) != 0)
            sampled(p, node, 10 + below(&state, 90), below(&state, 3) * 7);
        else
            exact(p, node, 1 + below(&state, 50), 1 + below(&state, 40));
    }
    return end(p);
}
