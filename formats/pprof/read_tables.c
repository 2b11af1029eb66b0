/* SPDX-License-Identifier: MIT */
/* Functions and locations of a pprof file. */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "formats/pprof/reading.h"

/* Go inlines some tens of functions into one place; nobody a thousand. */
enum { LINES_LIMIT = 1000 };

static hp_status ids_spread(hp_pprof_reading *r, hp_pprof_ids *ids) {
    ids->sparse = true;
    for (uint32_t i = 0; i < ids->count; i++) {
        if (hp_pairs_put(&ids->places, 0, i + 1, i) == HP_NO_PAIR)
            return hp_pprof_no_memory(r);
    }
    return HP_OK;
}

static hp_status ids_add(hp_pprof_reading *r, hp_pprof_ids *ids, uint64_t id, const char *twice) {
    if (!hp_pprof_may(&r->entries_left, 1))
        return hp_pprof_unfolds(r);
    if (id == 0)
        return hp_pprof_bad(r, "a function or location has no id");
    if (!ids->sparse && id != (uint64_t)ids->count + 1) {
        hp_status status = ids_spread(r, ids);
        if (status != HP_OK)
            return status;
    }
    if (ids->sparse) {
        uint32_t place = hp_pairs_put(&ids->places, (uint32_t)(id >> 32), (uint32_t)id, ids->count);
        if (place != ids->count)
            return place == HP_NO_PAIR ? hp_pprof_no_memory(r) : hp_pprof_bad(r, twice);
    }
    ids->count++;
    return HP_OK;
}

/* --- functions -------------------------------------------------------------------------------------------------------------------- */

typedef struct function_message {
    uint64_t id, name, system_name, file, start_line, kind;
    hp_pprof_text module, qualname, own_name, own_file;
    bool has_own_name;
} function_message;

static void function_field(function_message *message, const hp_wire_field *field) {
    hp_pprof_text text = {field->bytes, field->size};
    if (field->number == FUNCTION_ID)
        message->id = field->value;
    else if (field->number == FUNCTION_NAME)
        message->name = field->value;
    else if (field->number == FUNCTION_SYSTEM_NAME)
        message->system_name = field->value;
    else if (field->number == FUNCTION_FILE)
        message->file = field->value;
    else if (field->number == FUNCTION_START_LINE)
        message->start_line = field->value;
    else if (field->number == FUNCTION_KIND)
        message->kind = field->value;
    else if (field->number == FUNCTION_MODULE)
        message->module = text;
    else if (field->number == FUNCTION_QUALNAME)
        message->qualname = text;
    else if (field->number == FUNCTION_OWN_FILE)
        message->own_file = text;
    else if (field->number == FUNCTION_OWN_NAME) {
        message->own_name = text;
        message->has_own_name = true;
    }
}

/* One of ours: everything is told. */
static void name_own(hp_pprof_reading *r, const function_message *message, hp_function *function) {
    function->kind = (hp_code_kind)(message->kind - 1);
    function->module = hp_pprof_text_of(r, message->module);
    function->qualname = hp_pprof_text_of(r, message->qualname);
    function->name = message->has_own_name ? hp_pprof_text_of(r, message->own_name) : hp_reading_last_part(function->qualname);
    if (message->own_file.size != 0)
        function->file = hp_pprof_text_of(r, message->own_file);
}

/* Anybody's: what has a file is source code, the rest is not. */
static void name_foreign(hp_pprof_reading *r, const function_message *message, hp_function *function) {
    const hp_pprof_text *text = &r->strings[message->name];
    if (text->size == 0)
        text = &r->strings[message->system_name];
    if (function->file[0] != '\0')
        hp_reading_name(r->profile, hp_pprof_text_of(r, *text), false, function);
    else
        hp_reading_name_unfiled(r->profile, hp_pprof_text_of(r, *text), function);
}

/* The root of a thread, whose number may be another here. */
static hp_status add_thread(hp_pprof_reading *r, const char *text, hp_pprof_frame *frame) {
    frame->thread = hp_reading_add_thread(r->profile, text);
    if (frame->thread == HP_NO_NODE)
        return hp_pprof_no_memory(r);
    frame->function = r->profile->tree.nodes[r->profile->threads[frame->thread].root].function;
    return HP_OK;
}

static hp_status add_function(hp_pprof_reading *r, const function_message *message, hp_pprof_frame *frame) {
    hp_function function = {.first_line = message->start_line < HP_LINE_LIMIT ? (uint32_t)message->start_line : 0};
    function.file = hp_pprof_text_of(r, r->strings[message->file]);
    if (message->kind - 1 <= HP_CODE_SYNTHETIC)
        name_own(r, message, &function);
    else
        name_foreign(r, message, &function);
    if (r->text_over)
        return hp_pprof_unfolds(r);
    if (function.kind == HP_CODE_SYNTHETIC && function.file[0] == '\0' && hp_reading_is_thread(function.qualname))
        return add_thread(r, function.qualname, frame);
    frame->function = hp_profile_function(r->profile, &function);
    return frame->function == HP_NO_FUNCTION ? hp_pprof_no_memory(r) : HP_OK;
}

hp_status hp_pprof_take_function(hp_pprof_reading *r, const hp_wire_field *field) {
    function_message message = {0};
    hp_wire inside = hp_wire_inside(field);
    hp_wire_field part;
    while (hp_wire_next(&inside, &part))
        function_field(&message, &part);
    if (inside.bad)
        return hp_pprof_bad(r, "a function is malformed");
    if (message.name >= r->string_count || message.system_name >= r->string_count || message.file >= r->string_count)
        return hp_pprof_bad(r, "the name or file of a function is no string of its table");
    hp_status status = ids_add(r, &r->function_ids, message.id, "two functions have one id");
    if (status != HP_OK)
        return status;
    hp_pprof_frame *functions = hp_array_grow(r->functions, &r->function_capacity, r->function_ids.count, sizeof *functions);
    if (functions == NULL)
        return hp_pprof_no_memory(r);
    r->functions = functions;
    hp_pprof_frame *frame = &functions[r->function_ids.count - 1];
    *frame = (hp_pprof_frame){HP_NO_FUNCTION, HP_PPROF_NONE, 0};
    return add_function(r, &message, frame);
}

/* --- locations -------------------------------------------------------------------------------------------------------------------- */

static hp_status frame_add(hp_pprof_reading *r, hp_pprof_frame frame) {
    if (!hp_pprof_may(&r->entries_left, 1))
        return hp_pprof_unfolds(r);
    hp_pprof_frame *frames = hp_array_grow(r->frames, &r->frame_capacity, r->frame_count + 1, sizeof *frames);
    if (frames == NULL)
        return hp_pprof_no_memory(r);
    r->frames = frames;
    frames[r->frame_count++] = frame;
    return HP_OK;
}

static hp_status take_line(hp_pprof_reading *r, const hp_wire_field *field) {
    hp_wire inside = hp_wire_inside(field);
    hp_wire_field part;
    uint64_t function = 0, line = 0;
    while (hp_wire_next(&inside, &part)) {
        function = part.number == LINE_FUNCTION ? part.value : function;
        line = part.number == LINE_NUMBER ? part.value : line;
    }
    uint32_t place = hp_pprof_place(&r->function_ids, function);
    if (inside.bad || place == HP_PPROF_NONE)
        return hp_pprof_bad(r, inside.bad ? "a line is malformed" : "a line is of no function of its table");
    hp_pprof_frame frame = r->functions[place];
    frame.line = line < HP_LINE_LIMIT ? (uint32_t)line : 0;
    return frame_add(r, frame);
}

/* What nobody gave a name is called by its address. */
static hp_status add_nameless(hp_pprof_reading *r, uint64_t address) {
    char name[24];
    snprintf(name, sizeof name, "0x%llx", (unsigned long long)address);
    hp_function function = {HP_CODE_C, "", name, name, "", 0};
    uint32_t id = hp_profile_function(r->profile, &function);
    return id == HP_NO_FUNCTION ? hp_pprof_no_memory(r) : frame_add(r, (hp_pprof_frame){id, HP_PPROF_NONE, 0});
}

static hp_status add_location(hp_pprof_reading *r, uint64_t id) {
    hp_status status = ids_add(r, &r->location_ids, id, "two locations have one id");
    if (status != HP_OK)
        return status;
    uint32_t *first = hp_array_grow(r->first_frame, &r->location_capacity, r->location_ids.count + 1, sizeof *first);
    if (first == NULL)
        return hp_pprof_no_memory(r);
    r->first_frame = first;
    first[r->location_ids.count - 1] = r->frame_count;
    return HP_OK;
}

hp_status hp_pprof_take_location(hp_pprof_reading *r, const hp_wire_field *field) {
    hp_wire inside = hp_wire_inside(field);
    hp_wire_field part;
    uint64_t id = 0, address = 0;
    uint32_t first = r->frame_count;
    bool untold = false;
    hp_status status = HP_OK;
    while (status == HP_OK && hp_wire_next(&inside, &part)) {
        id = part.number == LOCATION_ID ? part.value : id;
        address = part.number == LOCATION_ADDRESS ? part.value : address;
        untold |= part.number == LOCATION_UNTOLD && part.value != 0;
        if (part.number == LOCATION_LINE)
            status = take_line(r, &part);
    }
    if (status == HP_OK && (inside.bad || r->frame_count - first > LINES_LIMIT))
        status = hp_pprof_bad(r, inside.bad ? "a location is malformed" : "a location has more than 1000 lines");
    uint32_t count = r->frame_count - first;
    r->frame_count = first; /* the location begins before its frames */
    if (status == HP_OK)
        status = add_location(r, id);
    r->frame_count += count;
    if (status == HP_OK && count == 0)
        status = add_nameless(r, address);
    for (uint32_t i = first; untold && i < r->frame_count; i++)
        r->frames[i].line = 0;
    if (status == HP_OK)
        r->first_frame[r->location_ids.count] = r->frame_count;
    return status;
}
