// SPDX-License-Identifier: Apache-2.0
#include "json.h"

#include <stdint.h>
#include <string.h>

void buffer_add(struct buffer* b, const char* bytes, size_t len) {
  if (b->full || len > b->cap - b->len) {
    b->full = true;
    return;
  }
  if (len > 0) memcpy(b->data + b->len, bytes, len);
  b->len += len;
}

void buffer_text(struct buffer* b, const char* text) {
  buffer_add(b, text, strlen(text));
}

void buffer_json(struct buffer* b, const char* bytes, size_t len) {
  static const char hex[] = "0123456789abcdef";
  static const char named[] = "\"\"\\\\\nn\rr\tt";  // pairs: the byte and its letter
  buffer_text(b, "\"");
  size_t start = 0;
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)bytes[i];
    if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) continue;
    buffer_add(b, bytes + start, i - start);
    start = i + 1;
    char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    size_t escape_len = 6;
    for (size_t n = 0; n + 1 < sizeof(named); n += 2) {
      if (named[n] != (char)c) continue;
      escape[1] = named[n + 1];
      escape_len = 2;
    }
    buffer_add(b, escape, escape_len);
  }
  buffer_add(b, bytes + start, len - start);
  buffer_text(b, "\"");
}

// ---- reading -------------------------------------------------------------------------------------------------------

struct cursor {
  const unsigned char* at;
  const unsigned char* end;
};

static int peek(const struct cursor* c) {
  return c->at < c->end ? *c->at : -1;
}

static void skip_space(struct cursor* c) {
  while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')) c->at++;
}

static bool take(struct cursor* c, unsigned char wanted) {
  if (peek(c) != wanted) return false;
  c->at++;
  return true;
}

static bool take_hex4(struct cursor* c, uint32_t* out) {
  if (c->end - c->at < 4) return false;
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) {
    unsigned char d = *c->at++;
    if (d >= '0' && d <= '9')
      value = value << 4 | (uint32_t)(d - '0');
    else if ((d | 0x20) >= 'a' && (d | 0x20) <= 'f')
      value = value << 4 | (uint32_t)((d | 0x20) - 'a' + 10);
    else
      return false;
  }
  *out = value;
  return true;
}

static void add_utf8(struct buffer* out, uint32_t code) {
  char u[4];
  size_t n = 0;
  if (code < 0x80) {
    u[n++] = (char)code;
  } else if (code < 0x800) {
    u[n++] = (char)(0xc0 | code >> 6);
    u[n++] = (char)(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    u[n++] = (char)(0xe0 | code >> 12);
    u[n++] = (char)(0x80 | (code >> 6 & 0x3f));
    u[n++] = (char)(0x80 | (code & 0x3f));
  } else {
    u[n++] = (char)(0xf0 | code >> 18);
    u[n++] = (char)(0x80 | (code >> 12 & 0x3f));
    u[n++] = (char)(0x80 | (code >> 6 & 0x3f));
    u[n++] = (char)(0x80 | (code & 0x3f));
  }
  buffer_add(out, u, n);
}

// After "\u": one code point. Half of a surrogate pair becomes U+FFFD: output is always encodable.
static bool take_code_point(struct cursor* c, uint32_t* code) {
  if (!take_hex4(c, code)) return false;
  if (*code < 0xd800 || *code > 0xdfff) return true;
  uint32_t high = *code;
  *code = 0xfffd;
  if (high > 0xdbff || c->end - c->at < 6 || c->at[0] != '\\' || c->at[1] != 'u') return true;
  struct cursor second = {c->at + 2, c->end};
  uint32_t low;
  if (!take_hex4(&second, &low)) return false;
  if (low < 0xdc00 || low > 0xdfff) return true;
  *code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
  c->at = second.at;
  return true;
}

// At the opening quote.
static bool take_string(struct cursor* c, struct buffer* out) {
  if (!take(c, '"')) return false;
  for (;;) {
    const unsigned char* start = c->at;
    while (c->at < c->end && *c->at != '"' && *c->at != '\\' && *c->at >= 0x20) c->at++;
    buffer_add(out, (const char*)start, (size_t)(c->at - start));
    if (take(c, '"')) return true;
    if (!take(c, '\\')) return false;  // the end of the text, or a bare control character
    int escape = peek(c);
    if (escape < 0) return false;
    c->at++;
    switch (escape) {
      case '"':
      case '\\':
      case '/':
        add_utf8(out, (uint32_t)escape);
        break;
      case 'b':
        add_utf8(out, '\b');
        break;
      case 'f':
        add_utf8(out, '\f');
        break;
      case 'n':
        add_utf8(out, '\n');
        break;
      case 'r':
        add_utf8(out, '\r');
        break;
      case 't':
        add_utf8(out, '\t');
        break;
      case 'u': {
        uint32_t code;
        if (!take_code_point(c, &code)) return false;
        add_utf8(out, code);
        break;
      }
      default:
        return false;
    }
  }
}

static bool skip_string(struct cursor* c) {
  struct buffer nowhere = {.data = NULL, .len = 0, .cap = 0, .full = true};
  return take_string(c, &nowhere);
}

// Nested values are passed over by counting brackets: whether they match is for the daemon, which parses properly.
static bool skip_value(struct cursor* c) {
  size_t depth = 0;
  do {
    skip_space(c);
    switch (peek(c)) {
      case -1:
        return false;
      case '"':
        if (!skip_string(c)) return false;
        break;
      case '{':
      case '[':
        depth++;
        c->at++;
        break;
      case '}':
      case ']':
        if (depth == 0) return false;
        depth--;
        c->at++;
        break;
      case ',':
      case ':':
        if (depth == 0) return false;
        c->at++;
        break;
      default:  // number or literal
        while (c->at < c->end && !memchr(" \t\n\r,:{}[]\"", *c->at, 11)) c->at++;
    }
  } while (depth > 0);
  return true;
}

// Puts `value` at the start of the member's value.
static enum json_find find_member(const char* text, size_t len, const char* key, struct cursor* value) {
  struct cursor c = {(const unsigned char*)text, (const unsigned char*)text + len};
  enum json_find found = JSON_ABSENT;
  skip_space(&c);
  if (!take(&c, '{')) return JSON_MALFORMED;
  skip_space(&c);
  if (take(&c, '}')) return found;
  do {
    char name_bytes[64];
    struct buffer name = {.data = name_bytes, .len = 0, .cap = sizeof(name_bytes), .full = false};
    skip_space(&c);
    if (!take_string(&c, &name)) return JSON_MALFORMED;
    skip_space(&c);
    if (!take(&c, ':')) return JSON_MALFORMED;
    skip_space(&c);
    if (!name.full && name.len == strlen(key) && memcmp(name.data, key, name.len) == 0) {
      *value = c;
      found = JSON_FOUND;
    }
    if (!skip_value(&c)) return JSON_MALFORMED;
    skip_space(&c);
  } while (take(&c, ','));
  return take(&c, '}') ? found : JSON_MALFORMED;
}

enum json_find json_get_string(const char* text, size_t len, const char* key, struct buffer* out) {
  struct cursor value;
  enum json_find found = find_member(text, len, key, &value);
  if (found != JSON_FOUND) return found;
  if (peek(&value) != '"') return JSON_OTHER_TYPE;
  if (!take_string(&value, out)) return JSON_MALFORMED;
  return out->full ? JSON_TOO_LONG : JSON_FOUND;
}

enum json_find json_get_number(const char* text, size_t len, const char* key, unsigned* out) {
  struct cursor value;
  enum json_find found = find_member(text, len, key, &value);
  if (found != JSON_FOUND) return found;
  unsigned number = 0;
  int digits = 0;
  while (peek(&value) >= '0' && peek(&value) <= '9' && digits < 4) {
    number = number * 10 + (unsigned)(*value.at++ - '0');
    digits++;
  }
  int after = peek(&value);
  if (digits == 0 || after < 0 || !memchr(" \t\n\r,}", after, 6)) return JSON_OTHER_TYPE;
  *out = number;
  return JSON_FOUND;
}
