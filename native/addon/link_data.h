// SPDX-License-Identifier: Apache-2.0
// IFLA_INFO_DATA by one table a kind: the same rows encode what is asked for and decode what the kernel reports.
#pragma once

#include <linux/netlink.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "netlink.h"

namespace pw {

using DataValue = std::variant<bool, double, std::string>;
using LinkData = std::vector<std::pair<std::string, DataValue>>;

// Puts the attributes of `data` into the message, inside an open IFLA_INFO_DATA. EINVAL naming what is unknown or does
// not fit.
void EncodeLinkData(Message& message, const std::string& kind, const LinkData& data);

// The "kind" of what a master says of a member (IFLA_INFO_SLAVE_DATA).
inline std::string MemberOf(const std::string& master_kind) {
  return "member of " + master_kind;
}

// Empty for a kind without a table. Attributes without a row are passed over.
LinkData DecodeLinkData(const std::string& kind, const nlattr* info_data);

}  // namespace pw
