/* SPDX-License-Identifier: MIT */
#include "formats/hyprof/bytes.h"

bool hp_bytes_grow(hp_bytes *bytes, size_t extra) {
    if (bytes->failed || extra > SIZE_MAX / 2 - bytes->size) {
        bytes->failed = true;
        return false;
    }
    size_t capacity = bytes->capacity * 2 < 256 ? 256 : bytes->capacity * 2;
    if (capacity < bytes->size + extra)
        capacity = bytes->size + extra;
    uint8_t *data = realloc(bytes->data, capacity);
    if (data == NULL) {
        bytes->failed = true;
        return false;
    }
    bytes->data = data;
    bytes->capacity = capacity;
    return true;
}

void hp_bytes_free(hp_bytes *bytes) {
    free(bytes->data);
    *bytes = (hp_bytes){0};
}

int hp_bytes_pack(void *bytes, const char *data, size_t size) {
    hp_bytes_add(bytes, data, size);
    return ((hp_bytes *)bytes)->failed ? -1 : 0;
}
