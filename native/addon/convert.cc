// SPDX-License-Identifier: Apache-2.0
#include "convert.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <sys/socket.h>

#include <cctype>
#include <cmath>
#include <cstdio>

#include "error.h"

namespace pw {

namespace {

[[noreturn]] void Refuse(const std::string& what, const std::string& why) {
  throw KernelError(EINVAL, "argument", what, why);
}

// False for undefined and absent.
bool Has(const Napi::Object& o, const char* key, Napi::Value& value) {
  value = o.Get(key);
  return !value.IsUndefined();
}

}  // namespace

Mac ParseMac(const std::string& text, const std::string& what) {
  Mac mac;
  bool good = text.size() == 17;
  for (size_t i = 0; good && i < text.size(); i++) {
    good = i % 3 == 2 ? text[i] == ':' : std::isxdigit(static_cast<unsigned char>(text[i])) != 0;
  }
  if (!good) Refuse(what, "not a MAC address: \"" + text + "\"");
  for (size_t i = 0; i < mac.size(); i++) mac[i] = static_cast<uint8_t>(std::stoul(text.substr(i * 3, 2), nullptr, 16));
  return mac;
}

std::string FormatMac(const void* bytes, size_t length) {
  static constexpr char kHex[] = "0123456789abcdef";
  auto* p = static_cast<const uint8_t*>(bytes);
  std::string text;
  for (size_t i = 0; i < length; i++) {
    if (i) text += ':';
    text += kHex[p[i] >> 4];
    text += kHex[p[i] & 15];
  }
  return text;
}

IpAddress ParseIp(const std::string& text, const std::string& what) {
  IpAddress ip;
  ip.family = text.find(':') == std::string::npos ? AF_INET : AF_INET6;
  ip.length = ip.family == AF_INET ? 4 : 16;
  if (inet_pton(ip.family, text.c_str(), ip.bytes.data()) != 1) Refuse(what, "not an IP address: \"" + text + "\"");
  return ip;
}

std::string FormatIp(const void* bytes, size_t length) {
  char text[INET6_ADDRSTRLEN];
  if (length != 4 && length != 16) return {};
  return inet_ntop(length == 4 ? AF_INET : AF_INET6, bytes, text, sizeof text) ? text : std::string();
}

uint8_t CheckPrefixLength(const IpAddress& ip, uint32_t length, const std::string& what) {
  if (length > ip.length * 8) Refuse(what, "a prefix length of 0 to " + std::to_string(ip.length * 8) + " is needed");
  return static_cast<uint8_t>(length);
}

const std::string& CheckLinkName(const std::string& name) {
  if (name.empty()) Refuse("interface name", "the name is empty");
  if (name.size() >= IFNAMSIZ)
    Refuse(name, "an interface name has at most 15 bytes; this one has " + std::to_string(name.size()));
  if (name == "." || name == "..") Refuse(name, "not an interface name");
  for (unsigned char c : name) {
    if (c == '/' || c == ':' || std::isspace(c)) Refuse(name, "an interface name holds no slash, colon or white space");
  }
  return name;
}

std::string ToText(const Napi::Value& value, const char* what) {
  if (!value.IsString()) Refuse(what, "a string is needed");
  std::string text = value.As<Napi::String>().Utf8Value();
  if (text.find('\0') != std::string::npos) Refuse(what, "the string holds a NUL");
  return text;
}

uint32_t ToU32(const Napi::Value& value, const char* what, uint32_t max) {
  double n = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(n >= 0 && n <= max) || std::trunc(n) != n)
    Refuse(what, "an integer from 0 to " + std::to_string(max) + " is needed");
  return static_cast<uint32_t>(n);
}

Napi::Object ToObject(const Napi::Value& value, const char* what) {
  if (!value.IsObject()) Refuse(what, "an object is needed");
  return value.As<Napi::Object>();
}

std::optional<bool> OptBool(const Napi::Object& o, const char* key) {
  Napi::Value value;
  if (!Has(o, key, value)) return std::nullopt;
  if (!value.IsBoolean()) Refuse(key, "true or false is needed");
  return value.As<Napi::Boolean>().Value();
}

std::optional<std::string> OptString(const Napi::Object& o, const char* key) {
  Napi::Value value;
  if (!Has(o, key, value)) return std::nullopt;
  return ToText(value, key);
}

std::optional<uint32_t> OptU32(const Napi::Object& o, const char* key, uint32_t max) {
  Napi::Value value;
  if (!Has(o, key, value)) return std::nullopt;
  return ToU32(value, key, max);
}

std::optional<Napi::Object> OptObject(const Napi::Object& o, const char* key) {
  Napi::Value value;
  if (!Has(o, key, value)) return std::nullopt;
  return ToObject(value, key);
}

std::string NeedString(const Napi::Object& o, const char* key) {
  return ToText(o.Get(key), key);
}

uint32_t NeedU32(const Napi::Object& o, const char* key, uint32_t max) {
  return ToU32(o.Get(key), key, max);
}

}  // namespace pw
