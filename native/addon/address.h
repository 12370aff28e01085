// SPDX-License-Identifier: Apache-2.0
// IP addresses of links (RTM_*ADDR).
#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>

#include "netlink.h"

namespace pw {

struct Address {
  uint32_t ifindex = 0, scope = 0, flags = 0;
  int family = 0;  // 4 or 6
  std::string text;
  uint32_t prefix_length = 0;
  uint8_t protocol = 0;
};

std::optional<Address> ParseAddress(const nlmsghdr* nlh);
Napi::Value AddressToJs(Napi::Env env, const Address& address);

}  // namespace pw
