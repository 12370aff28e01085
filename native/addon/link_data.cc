// SPDX-License-Identifier: Apache-2.0
#include "link_data.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "convert.h"
#include "link_data_tables.h"

namespace pw {

namespace {

const Table* FindTable(const std::string& kind) {
  for (const Table& table : kTables) {
    if (kind == table.kind) return &table;
  }
  return nullptr;
}

const Row* FindRow(const std::string& kind, const std::string& name) {
  if (const Table* table = FindTable(kind)) {
    for (size_t i = 0; i < table->count; i++) {
      if (name == table->rows[i].name) return &table->rows[i];
    }
  }
  return nullptr;
}

[[noreturn]] void Refuse(const std::string& kind, const std::string& name, const std::string& why) {
  throw KernelError(EINVAL, "link data", kind + "." + name, why);
}

// The largest number a row takes; 64-bit attributes end where a JavaScript number stops being exact.
double Largest(Type type) {
  switch (type) {
    case Type::kU8:
      return UINT8_MAX;
    case Type::kU16:
    case Type::kBe16:
      return UINT16_MAX;
    case Type::kU32:
      return UINT32_MAX;
    case Type::kS32:
      return INT32_MAX;
    default:
      return 9007199254740991.0;
  }
}

void EncodeNumber(Message& message, const std::string& kind, const Row& row, double n) {
  double least = row.type == Type::kS32 ? INT32_MIN : 0;
  if (std::trunc(n) != n || n < least || n > Largest(row.type)) {
    Refuse(kind, row.name,
           "not an integer from " + std::to_string(static_cast<int64_t>(least)) + " to " +
               std::to_string(static_cast<int64_t>(Largest(row.type))));
  }
  switch (row.type) {
    case Type::kU8:
      return message.Put8(row.attribute, static_cast<uint8_t>(n));
    case Type::kU16:
      return message.Put16(row.attribute, static_cast<uint16_t>(n));
    case Type::kBe16:
      return message.Put16(row.attribute, htons(static_cast<uint16_t>(n)));
    case Type::kU64:
      return message.Put64(row.attribute, static_cast<uint64_t>(n));
    case Type::kS32:
      return message.Put32(row.attribute, static_cast<uint32_t>(static_cast<int32_t>(n)));
    default:
      return message.Put32(row.attribute, static_cast<uint32_t>(n));
  }
}

void EncodeText(Message& message, const std::string& kind, const Row& row, const std::string& text) {
  if (row.type == Type::kMac) {
    Mac mac = ParseMac(text, kind + "." + row.name);
    return message.Put(row.attribute, mac.data(), mac.size());
  }
  IpAddress ip = ParseIp(text, kind + "." + row.name);
  if (ip.length != (row.type == Type::kIp4 ? 4u : 16u)) Refuse(kind, row.name, "an address of the other family");
  message.Put(row.attribute, ip.bytes.data(), ip.length);
}

void EncodeList(Message& message, const std::string& kind, const Row& row, const std::string& text) {
  nlattr* nest = message.Nest(row.attribute);
  uint16_t index = 0;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find(',', begin), text.size());
    IpAddress ip = ParseIp(text.substr(begin, end - begin), kind + "." + row.name);
    if (ip.length != (row.type == Type::kIp4List ? 4u : 16u)) Refuse(kind, row.name, "an address of the other family");
    message.Put(index++, ip.bytes.data(), ip.length);
    begin = end + 1;
  }
  message.End(nest);
}

std::string DecodeList(const Row& row, const nlattr* nest) {
  size_t length = row.type == Type::kIp4List ? 4 : 16;
  std::string text;
  for (const nlattr* attr : Attributes(nest)) {
    if (mnl_attr_get_payload_len(attr) < length) continue;
    if (!text.empty()) text += ',';
    text += FormatIp(mnl_attr_get_payload(attr), length);
  }
  return text;
}

bool DecodeRow(const Row& row, const nlattr* attr, DataValue& value) {
  size_t length = mnl_attr_get_payload_len(attr);
  const void* data = mnl_attr_get_payload(attr);
  auto number = [&](auto sample, auto map) {
    if (length < sizeof sample) return false;
    std::memcpy(&sample, data, sizeof sample);
    value = static_cast<double>(map(sample));
    return true;
  };
  auto same = [](auto v) { return v; };
  switch (row.type) {
    case Type::kBool:
      if (length < 1) return false;
      value = *static_cast<const uint8_t*>(data) != 0;
      return true;
    case Type::kFlag:
      value = true;
      return true;
    case Type::kU8:
      return number(uint8_t{}, same);
    case Type::kU16:
      return number(uint16_t{}, same);
    case Type::kBe16:
      return number(uint16_t{}, [](uint16_t v) { return ntohs(v); });
    case Type::kU32:
      return number(uint32_t{}, same);
    case Type::kU64:
      return number(uint64_t{}, same);
    case Type::kS32:
      return number(int32_t{}, same);
    case Type::kMac:
      if (length < 6) return false;
      value = FormatMac(data, 6);
      return true;
    case Type::kIp4:
    case Type::kIp6:
      if (length < (row.type == Type::kIp4 ? 4u : 16u)) return false;
      value = FormatIp(data, row.type == Type::kIp4 ? 4 : 16);
      return true;
    case Type::kIp4List:
    case Type::kIp6List:
      value = DecodeList(row, attr);
      return true;
    case Type::kNest:
      return false;
  }
  return false;
}

}  // namespace

void EncodeLinkData(Message& message, const std::string& kind, const LinkData& data) {
  for (const auto& [name, value] : data) {
    const Row* row = FindRow(kind, name);
    if (!row) Refuse(kind, name, "a link of kind \"" + kind + "\" has no attribute \"" + name + "\"");
    switch (row->type) {
      case Type::kBool:
        if (!std::holds_alternative<bool>(value)) Refuse(kind, name, "takes true or false");
        message.Put8(row->attribute, std::get<bool>(value));
        break;
      case Type::kFlag:  // present or absent
        if (!std::holds_alternative<bool>(value)) Refuse(kind, name, "takes true or false");
        if (std::get<bool>(value)) message.Put(row->attribute, nullptr, 0);
        break;
      case Type::kMac:
      case Type::kIp4:
      case Type::kIp6:
        if (!std::holds_alternative<std::string>(value)) Refuse(kind, name, "takes an address as text");
        EncodeText(message, kind, *row, std::get<std::string>(value));
        break;
      case Type::kIp4List:
      case Type::kIp6List:
        if (!std::holds_alternative<std::string>(value)) Refuse(kind, name, "takes addresses joined by commas");
        EncodeList(message, kind, *row, std::get<std::string>(value));
        break;
      case Type::kNest:
        Refuse(kind, name, "is read only");
      default:
        if (!std::holds_alternative<double>(value)) Refuse(kind, name, "takes a number");
        EncodeNumber(message, kind, *row, std::get<double>(value));
    }
  }
}

LinkData DecodeLinkData(const std::string& kind, const nlattr* info_data) {
  LinkData result;
  const Table* table = FindTable(kind);
  if (!table || !info_data) return result;
  for (const nlattr* attr : Attributes(info_data)) {
    for (size_t i = 0; i < table->count; i++) {
      const Row& row = table->rows[i];
      DataValue value;
      if (row.attribute != mnl_attr_get_type(attr)) continue;
      if (row.type == Type::kNest) {
        for (auto& inner : DecodeLinkData(row.name, attr)) result.push_back(std::move(inner));
      } else if (DecodeRow(row, attr, value)) {
        result.emplace_back(row.name, std::move(value));
      }
      break;
    }
  }
  return result;
}

}  // namespace pw
