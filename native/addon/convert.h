// SPDX-License-Identifier: Apache-2.0
// Between text and bytes (MAC and IP addresses), and from JavaScript values to checked C++ ones. Nothing is truncated:
// what does not fit is EINVAL naming the argument.
#pragma once

#include <napi.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace pw {

using Mac = std::array<uint8_t, 6>;

struct IpAddress {
  int family = 0;  // AF_INET or AF_INET6
  size_t length = 0;
  std::array<uint8_t, 16> bytes{};
};

Mac ParseMac(const std::string& text, const std::string& what);
std::string FormatMac(const void* bytes, size_t length);
IpAddress ParseIp(const std::string& text, const std::string& what);
std::string FormatIp(const void* bytes, size_t length);  // 4 or 16 bytes
uint8_t CheckPrefixLength(const IpAddress& ip, uint32_t length, const std::string& what);

// 1 to 15 bytes, as dev_valid_name() in net/core/dev.c wants it.
const std::string& CheckLinkName(const std::string& name);

// Members of a JavaScript object; absent and undefined are the same.
std::optional<bool> OptBool(const Napi::Object& o, const char* key);
std::optional<std::string> OptString(const Napi::Object& o, const char* key);
std::optional<uint32_t> OptU32(const Napi::Object& o, const char* key, uint32_t max = UINT32_MAX);
std::optional<Napi::Object> OptObject(const Napi::Object& o, const char* key);
std::string NeedString(const Napi::Object& o, const char* key);
uint32_t NeedU32(const Napi::Object& o, const char* key, uint32_t max = UINT32_MAX);

std::string ToText(const Napi::Value& value, const char* what);
uint32_t ToU32(const Napi::Value& value, const char* what, uint32_t max = UINT32_MAX);
Napi::Object ToObject(const Napi::Value& value, const char* what);

}  // namespace pw
