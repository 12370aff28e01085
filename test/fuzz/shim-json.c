// SPDX-License-Identifier: Apache-2.0
// Throws damaged JSON at the plugin executable's scanner, under the address and undefined-behaviour sanitizers. The
// text lies in memory of exactly its length, so that one byte read too many is seen. `shim-json ROUNDS SEED`.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../native/shim/json.h"

static uint64_t state;

static uint32_t random_below(uint32_t limit) {  // xorshift64*
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)((state * 0x2545f4914f6cdd1dULL) >> 33) % limit;
}

static const char* const seeds[] = {
    "{\"exitCode\":0,\"stdout\":\"\\u0041\\ud83d\\ude00\\n\",\"stderr\":\"x\"}",
    "{\"a\":[1,{\"b\":[\"]\",\"\\\"\"]},-1.5e3,true,null],\"stdout\":\"end\"}",
    "{ \"stdout\" : \"\\ud800\" , \"exitCode\" : 12 }",
    "{\"stdout\":\"\\ud800\\udc00\\udbff\\uDFFF\",\"stdout\":\"last\"}",
    "{}",
    "{\"\":\"\",\"stdout\":{}}",
};
static const char bytes[] = "{}[]\",:\\u0dD8fF 1tn\n\x01\x80\xff/b";

static size_t mutate(char* text, size_t len, size_t cap) {
  for (uint32_t n = random_below(6); n > 0; n--) {
    size_t at = len == 0 ? 0 : random_below((uint32_t)len);
    char byte = bytes[random_below(sizeof(bytes))];
    switch (random_below(4)) {
      case 0:
        if (len > 0) text[at] = byte;
        break;
      case 1:
        if (len < cap) {
          memmove(text + at + 1, text + at, len - at);
          text[at] = byte;
          len++;
        }
        break;
      case 2:
        if (len > 0) {
          memmove(text + at, text + at + 1, len - at - 1);
          len--;
        }
        break;
      default:
        len = at;
    }
  }
  return len;
}

static void try_one(const char* text, size_t len) {
  char* exact = malloc(len);  // malloc(0) is fine: nothing may be read
  if (len > 0) memcpy(exact, text, len);
  size_t room = random_below(40);
  char* out_bytes = malloc(room);
  static const char* const keys[] = {"stdout", "exitCode", "stderr", "", "missing"};
  for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
    struct buffer out = {.data = out_bytes, .len = 0, .cap = room, .full = false};
    enum json_find found = json_get_string(exact, len, keys[k], &out);
    if (out.len > room) abort();
    if (found == JSON_FOUND && out.full) abort();
    unsigned number = 70000;
    if (json_get_number(exact, len, keys[k], &number) == JSON_FOUND && number > 9999) abort();
  }
  // What is written as a string is read back byte for byte.
  char* quoted = malloc(len * 6 + 16);
  struct buffer object = {.data = quoted, .len = 0, .cap = len * 6 + 16, .full = false};
  buffer_text(&object, "{\"k\":");
  buffer_json(&object, exact, len);
  buffer_text(&object, "}");
  char* back_bytes = malloc(len + 1);
  struct buffer back = {.data = back_bytes, .len = 0, .cap = len + 1, .full = false};
  if (object.full || json_get_string(quoted, object.len, "k", &back) != JSON_FOUND) abort();
  if (back.len != len || (len > 0 && memcmp(back_bytes, exact, len) != 0)) abort();
  free(back_bytes);
  free(quoted);
  free(out_bytes);
  free(exact);
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  state = strtoull(argv[2], NULL, 10) * 2654435761ULL + 1;
  for (long rounds = strtol(argv[1], NULL, 10); rounds > 0; rounds--) {
    char text[256];
    const char* seed = seeds[random_below(sizeof(seeds) / sizeof(seeds[0]))];
    size_t len = strlen(seed);
    memcpy(text, seed, len);
    try_one(text, mutate(text, len, sizeof(text)));
  }
  puts("done");
  return 0;
}
