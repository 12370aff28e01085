// SPDX-License-Identifier: Apache-2.0
// The sets of masquerade.cc and their elements: for each family and prefix length one of sources, each an address, and
// one of subnets, each twice the first address.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "masquerade.h"
#include "nftables.h"

namespace pw {

constexpr const char* kMasqueradeTable = "portwright";

struct MasqueradeFamily {
  int family;
  uint8_t protocol;  // of meta nfproto
  const char *sources, *subnets;
  uint32_t address_length;
  uint32_t source_offset, destination_offset;  // in the network header
  // One after the other, of 4 bytes each or of 16: so they are the key of a subnet.
  uint32_t first_register, second_register;
  uint32_t type;                    // nft(8)'s number of it; in a concatenation each has six bits
  uint8_t first_group, last_group;  // first bytes of multicast addresses (RFC 5771; RFC 4291, section 2.7)
};

constexpr MasqueradeFamily kMasqueradeFamilies[] = {
    {AF_INET, NFPROTO_IPV4, "masquerade4-", "subnets4-", 4, 12, 16, NFT_REG32_00, NFT_REG32_01, 7, 224, 239},
    {AF_INET6, NFPROTO_IPV6, "masquerade6-", "subnets6-", 16, 8, 24, NFT_REG_1, NFT_REG_2, 8, 255, 255},
};

struct MasqueradeSets {
  const MasqueradeFamily* family;
  uint8_t length;

  std::string Sources() const { return family->sources + std::to_string(length); }
  std::string Subnets() const { return family->subnets + std::to_string(length); }
  bool Has(const IpPrefix& prefix) const { return prefix.address.family == family->family && prefix.length == length; }
};

IpAddress Netmask(const IpPrefix& prefix);
// Those that are needed, each once.
std::vector<MasqueradeSets> SetsFor(const Masquerade& masquerade);
// Those that are there; nullopt: the table has others.
std::optional<std::vector<MasqueradeSets>> ReadSets(NetlinkSocket& netfilter);

// NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM.
void PutElements(NftTransaction& transaction, int verb, const Masquerade& masquerade);
// nullopt: there is one that is none of ours.
std::optional<Masquerade> ReadElements(NetlinkSocket& netfilter, const std::vector<MasqueradeSets>& sets);
// ENOENT: it is not there.
void FindSource(NetlinkSocket& netfilter, const IpPrefix& source);

}  // namespace pw
