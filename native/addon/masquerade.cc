// SPDX-License-Identifier: Apache-2.0
// table inet portwright {
//   set masquerade4-24 { type ipv4_addr; }
//   set subnets4-24 { type ipv4_addr . ipv4_addr; }
//   chain postrouting {
//     type nat hook postrouting priority srcnat; policy accept;
//     ip saddr @masquerade4-24 ip daddr != 224.0.0.0-239.255.255.255
//       ip saddr & 255.255.255.0 . ip daddr & 255.255.255.0 != @subnets4-24 masquerade
//   }
// }
// and the same of each other prefix length that a source has, and of IPv6. Hash tables all: to remove an element of
// ranges takes time with their number (nft_pipapo_remove). A mask of its own for each source, from a map, would need no
// sets for each length, but nft(8) 1.0.6 dies when it lists such a rule.
#include "masquerade.h"

#include <array>
#include <functional>

#include "masquerade_elements.h"
#include "nftables.h"

namespace pw {

namespace {

constexpr const char* kChain = "postrouting";
constexpr int32_t kPriority = 100;  // NF_IP_PRI_NAT_SRC, uapi/linux/netfilter_ipv4.h

// False: ENOENT.
bool Found(const std::function<void()>& ask) {
  try {
    ask();
    return true;
  } catch (const KernelError& error) {
    if (error.err == ENOENT) return false;
    throw;
  }
}

void PutTable(NftTransaction& transaction, int verb) {
  NftMessage message(verb, verb == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0, kMasqueradeTable);
  message.PutString(NFTA_TABLE_NAME, kMasqueradeTable);
  transaction.Add(message);
}

void PutChain(NftTransaction& transaction) {
  NftMessage message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, kMasqueradeTable);
  message.PutString(NFTA_CHAIN_TABLE, kMasqueradeTable);
  message.PutString(NFTA_CHAIN_NAME, kChain);
  nlattr* hook = message.Nest(NFTA_CHAIN_HOOK);
  message.PutBig32(NFTA_HOOK_HOOKNUM, NF_INET_POST_ROUTING);
  message.PutBig32(NFTA_HOOK_PRIORITY, static_cast<uint32_t>(kPriority));
  message.End(hook);
  message.PutBig32(NFTA_CHAIN_POLICY, NF_ACCEPT);
  message.PutString(NFTA_CHAIN_TYPE, "nat");
  transaction.Add(message);
}

void PutSet(NftTransaction& transaction, const std::string& name, uint32_t id, const MasqueradeFamily& family,
            uint32_t addresses) {
  NftMessage message(NFT_MSG_NEWSET, NLM_F_CREATE, kMasqueradeTable);
  message.PutString(NFTA_SET_TABLE, kMasqueradeTable);
  message.PutString(NFTA_SET_NAME, name);
  message.PutBig32(NFTA_SET_KEY_TYPE, addresses == 2 ? family.type << 6 | family.type : family.type);
  message.PutBig32(NFTA_SET_KEY_LEN, addresses * family.address_length);
  message.PutBig32(NFTA_SET_ID, id);
  transaction.Add(message);
}

void PutLoad(NftMessage& message, uint32_t to, uint32_t offset, uint32_t length) {
  NftExpression load(message, "payload");
  message.PutBig32(NFTA_PAYLOAD_DREG, to);
  message.PutBig32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
  message.PutBig32(NFTA_PAYLOAD_OFFSET, offset);
  message.PutBig32(NFTA_PAYLOAD_LEN, length);
}

void PutMask(NftMessage& message, uint32_t at, const IpAddress& mask) {
  static constexpr std::array<uint8_t, 16> kNothing{};
  NftExpression bitwise(message, "bitwise");
  message.PutBig32(NFTA_BITWISE_SREG, at);
  message.PutBig32(NFTA_BITWISE_DREG, at);
  message.PutBig32(NFTA_BITWISE_LEN, static_cast<uint32_t>(mask.length));
  message.PutValue(NFTA_BITWISE_MASK, mask.bytes.data(), mask.length);
  message.PutValue(NFTA_BITWISE_XOR, kNothing.data(), mask.length);
}

void PutLookup(NftMessage& message, const std::string& set, uint32_t id, uint32_t key, uint32_t flags) {
  NftExpression lookup(message, "lookup");
  message.PutString(NFTA_LOOKUP_SET, set);
  message.PutBig32(NFTA_LOOKUP_SET_ID, id);
  message.PutBig32(NFTA_LOOKUP_SREG, key);
  message.PutBig32(NFTA_LOOKUP_FLAGS, flags);
}

// `id`: of the set of sources; that of subnets has the next.
void PutRule(NftTransaction& transaction, const MasqueradeSets& sets, uint32_t id) {
  const MasqueradeFamily& family = *sets.family;
  NftMessage message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, kMasqueradeTable);
  message.PutString(NFTA_RULE_TABLE, kMasqueradeTable);
  message.PutString(NFTA_RULE_CHAIN, kChain);
  nlattr* expressions = message.Nest(NFTA_RULE_EXPRESSIONS);
  {
    NftExpression meta(message, "meta");
    message.PutBig32(NFTA_META_DREG, NFT_REG_1);
    message.PutBig32(NFTA_META_KEY, NFT_META_NFPROTO);
  }
  {
    NftExpression compare(message, "cmp");
    message.PutBig32(NFTA_CMP_SREG, NFT_REG_1);
    message.PutBig32(NFTA_CMP_OP, NFT_CMP_EQ);
    message.PutValue(NFTA_CMP_DATA, &family.protocol, sizeof family.protocol);
  }
  PutLoad(message, family.first_register, family.source_offset, family.address_length);
  PutLookup(message, sets.Sources(), id, family.first_register, 0);
  PutLoad(message, family.first_register, family.destination_offset, family.address_length);
  {
    std::array<uint8_t, 16> first{family.first_group}, last;
    last.fill(255);
    last[0] = family.last_group;
    NftExpression groups(message, "range");
    message.PutBig32(NFTA_RANGE_SREG, family.first_register);
    message.PutBig32(NFTA_RANGE_OP, NFT_RANGE_NEQ);
    message.PutValue(NFTA_RANGE_FROM_DATA, first.data(), family.address_length);
    message.PutValue(NFTA_RANGE_TO_DATA, last.data(), family.address_length);
  }
  const IpAddress mask = Netmask({{family.family, family.address_length, {}}, sets.length});
  PutLoad(message, family.first_register, family.source_offset, family.address_length);
  PutMask(message, family.first_register, mask);
  PutLoad(message, family.second_register, family.destination_offset, family.address_length);
  PutMask(message, family.second_register, mask);
  PutLookup(message, sets.Subnets(), id + 1, family.first_register, NFT_LOOKUP_F_INV);
  {
    NftExpression masquerade(message, "masq");
  }
  message.End(expressions);
  transaction.Add(message);
}

uint32_t CountRules(NetlinkSocket& netfilter) {
  NftMessage message(NFT_MSG_GETCHAIN, 0, kMasqueradeTable);
  message.PutString(NFTA_CHAIN_TABLE, kMasqueradeTable);
  message.PutString(NFTA_CHAIN_NAME, kChain);
  uint32_t rules = 0;
  netfilter.Request(message, [&rules](const nlmsghdr* nlh) {
    for (const nlattr* attr : Attributes(nlh, sizeof(nfgenmsg))) {
      if (mnl_attr_get_type(attr) == NFTA_CHAIN_USE) rules = ntohl(mnl_attr_get_u32(attr));
    }
  });
  return rules;
}

// The sets, if the table has what belongs to them and nothing else. ENOENT: it is not there, or has no chain of ours.
std::optional<std::vector<MasqueradeSets>> ReadShape(NetlinkSocket& netfilter) {
  auto sets = ReadSets(netfilter);
  return sets && CountRules(netfilter) == sets->size() ? sets : std::nullopt;
}

bool IsThere(NetlinkSocket& netfilter) {
  NftMessage message(NFT_MSG_GETTABLE, 0, kMasqueradeTable);
  message.PutString(NFTA_TABLE_NAME, kMasqueradeTable);
  return Found([&] { netfilter.Request(message); });
}

}  // namespace

MasqueradeTable ReadMasquerade(NetlinkSocket& netfilter) {
  MasqueradeTable table;
  table.there = IsThere(netfilter);
  if (!table.there) return table;
  Found([&] {
    if (auto sets = ReadShape(netfilter)) table.whole = ReadElements(netfilter, *sets);
  });
  return table;
}

bool HasMasqueradeSource(NetlinkSocket& netfilter, const IpPrefix& source) {
  bool whole = false;
  return Found([&] {
           whole = ReadShape(netfilter).has_value();
           FindSource(netfilter, source);
         }) &&
         whole;
}

void ReplaceMasquerade(NetlinkSocket& netfilter, const Masquerade& all) {
  NftTransaction transaction;
  // One that is not there cannot be deleted: so it is made first.
  PutTable(transaction, NFT_MSG_NEWTABLE);
  PutTable(transaction, NFT_MSG_DELTABLE);
  if (!all.sources.empty()) {
    PutTable(transaction, NFT_MSG_NEWTABLE);
    PutChain(transaction);
    uint32_t id = 1;
    for (const MasqueradeSets& sets : SetsFor(all)) {
      PutSet(transaction, sets.Sources(), id, *sets.family, 1);
      PutSet(transaction, sets.Subnets(), id + 1, *sets.family, 2);
      PutRule(transaction, sets, id);
      id += 2;
    }
    PutElements(transaction, NFT_MSG_NEWSETELEM, all);
  }
  transaction.Send(netfilter);
}

void ChangeMasquerade(NetlinkSocket& netfilter, const Masquerade& add, const Masquerade& remove) {
  NftTransaction transaction;
  PutElements(transaction, NFT_MSG_DELSETELEM, remove);
  PutElements(transaction, NFT_MSG_NEWSETELEM, add);
  transaction.Send(netfilter);
}

}  // namespace pw
