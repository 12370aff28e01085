// SPDX-License-Identifier: Apache-2.0
// Our nftables table: addresses whose traffic leaves with the host's own.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "convert.h"
#include "netlink.h"

namespace pw {

struct IpPrefix {
  IpAddress address;
  uint8_t length = 0;
};

struct Masquerade {
  // What these addresses send is masqueraded; `length` is that of their subnet.
  std::vector<IpPrefix> sources;
  // But not what a source with the same length sends within one of these.
  std::vector<IpPrefix> subnets;
};

struct MasqueradeTable {
  bool there = false;
  std::optional<Masquerade> whole;  // if it is as ReplaceMasquerade makes it
};

MasqueradeTable ReadMasquerade(NetlinkSocket& netfilter);
// One source of it, without the others.
bool HasMasqueradeSource(NetlinkSocket& netfilter, const IpPrefix& source);
// The whole table anew, in one transaction; without sources it goes.
void ReplaceMasquerade(NetlinkSocket& netfilter, const Masquerade& all);
// ENOENT: the table, the sets of a prefix length, or what shall go is not there. Nothing was changed then.
void ChangeMasquerade(NetlinkSocket& netfilter, const Masquerade& add, const Masquerade& remove);

}  // namespace pw
