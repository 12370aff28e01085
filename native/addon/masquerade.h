// SPDX-License-Identifier: Apache-2.0
// Our nftables table: addresses whose traffic leaves with the host's own.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "convert.h"
#include "netlink.h"

namespace pw {

// What `source` sends to `first` to `last` is masqueraded. All three are of one family.
struct MasqueradeRange {
  IpAddress source, first, last;
};

// nullopt: the table is not there, or not whole.
std::optional<std::vector<MasqueradeRange>> ReadMasquerade(NetlinkSocket& netfilter);
// The whole table anew, in one transaction; without ranges it goes.
void ReplaceMasquerade(NetlinkSocket& netfilter, const std::vector<MasqueradeRange>& ranges);
// ENOENT: the table or what shall go is not there; nothing was changed then.
void ChangeMasquerade(NetlinkSocket& netfilter, const std::vector<MasqueradeRange>& add,
                      const std::vector<MasqueradeRange>& remove);

}  // namespace pw
