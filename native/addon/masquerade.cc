// SPDX-License-Identifier: Apache-2.0
// table inet portwright {
//   set masquerade4 { type ipv4_addr . ipv4_addr; flags interval; }
//   set masquerade6 { type ipv6_addr . ipv6_addr; flags interval; }
//   chain postrouting {
//     type nat hook postrouting priority srcnat; policy accept;
//     ip saddr . ip daddr @masquerade4 masquerade
//     ip6 saddr . ip6 daddr @masquerade6 masquerade
//   }
// }
// in the words of uapi/linux/netfilter/nf_tables.h. Sets of concatenated ranges came with Linux 5.6.
#include "masquerade.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <cstring>

namespace pw {

namespace {

constexpr const char* kTable = "portwright";
constexpr const char* kChain = "postrouting";
constexpr uint32_t kRules = 2;
constexpr int32_t kPriority = 100;  // NF_IP_PRI_NAT_SRC, uapi/linux/netfilter_ipv4.h
// An element has at most 96 bytes; a message holds 16 KiB.
constexpr size_t kElementsInOneMessage = 120;

struct Family {
  int family;
  uint8_t protocol;  // of meta nfproto
  const char* set;
  uint32_t set_id;
  uint32_t address_length;
  uint32_t source_offset, destination_offset;  // in the network header
  // Registers for the two addresses: of 4 bytes each, or of 16.
  uint32_t source_register, destination_register;
  // What nft(8) shows: its number of the type, six bits for each part of a concatenation.
  uint32_t type;
};

constexpr Family kFamilies[] = {
    {AF_INET, NFPROTO_IPV4, "masquerade4", 1, 4, 12, 16, NFT_REG32_00, NFT_REG32_01, 7 << 6 | 7},
    {AF_INET6, NFPROTO_IPV6, "masquerade6", 2, 16, 8, 24, NFT_REG_1, NFT_REG_2, 8 << 6 | 8},
};

uint16_t Type(int message) {
  return static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message);
}

class NftMessage : public Message {
 public:
  NftMessage(int message, uint16_t flags) : Message(Type(message), flags, std::string("table inet ") + kTable) {
    auto* header = Header<nfgenmsg>();
    header->nfgen_family = NFPROTO_INET;
    header->version = NFNETLINK_V0;
    header->res_id = 0;
  }
  void PutBig32(uint16_t type, uint32_t value) { Put32(type, htonl(value)); }
};

class Batch {
 public:
  Batch() { Mark(NFNL_MSG_BATCH_BEGIN); }
  void Add(Message& message) {
    auto* bytes = reinterpret_cast<const char*>(message.header());
    bytes_.insert(bytes_.end(), bytes, bytes + MNL_ALIGN(message.header()->nlmsg_len));
  }
  void Send(NetlinkSocket& netfilter) {
    Mark(NFNL_MSG_BATCH_END);
    netfilter.Transaction(bytes_, std::string("table inet ") + kTable);
  }

 private:
  void Mark(uint16_t type) {
    Message message(type, 0, "");
    auto* header = message.Header<nfgenmsg>();
    header->nfgen_family = AF_UNSPEC;
    header->version = NFNETLINK_V0;
    header->res_id = htons(NFNL_SUBSYS_NFTABLES);
    Add(message);
  }
  std::vector<char> bytes_;
};

void PutTable(Batch& batch, int verb) {
  NftMessage message(verb, verb == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0);
  message.PutString(NFTA_TABLE_NAME, kTable);
  batch.Add(message);
}

void PutChain(Batch& batch) {
  NftMessage message(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  message.PutString(NFTA_CHAIN_TABLE, kTable);
  message.PutString(NFTA_CHAIN_NAME, kChain);
  nlattr* hook = message.Nest(NFTA_CHAIN_HOOK);
  message.PutBig32(NFTA_HOOK_HOOKNUM, NF_INET_POST_ROUTING);
  message.PutBig32(NFTA_HOOK_PRIORITY, static_cast<uint32_t>(kPriority));
  message.End(hook);
  message.PutBig32(NFTA_CHAIN_POLICY, NF_ACCEPT);
  message.PutString(NFTA_CHAIN_TYPE, "nat");
  batch.Add(message);
}

void PutSet(Batch& batch, const Family& family) {
  NftMessage message(NFT_MSG_NEWSET, NLM_F_CREATE);
  message.PutString(NFTA_SET_TABLE, kTable);
  message.PutString(NFTA_SET_NAME, family.set);
  message.PutBig32(NFTA_SET_FLAGS, NFT_SET_INTERVAL | NFT_SET_CONCAT);
  message.PutBig32(NFTA_SET_KEY_TYPE, family.type);
  message.PutBig32(NFTA_SET_KEY_LEN, 2 * family.address_length);
  message.PutBig32(NFTA_SET_ID, family.set_id);
  nlattr* description = message.Nest(NFTA_SET_DESC);
  nlattr* parts = message.Nest(NFTA_SET_DESC_CONCAT);
  for (int i = 0; i < 2; i++) {
    nlattr* part = message.Nest(NFTA_LIST_ELEM);
    message.PutBig32(NFTA_SET_FIELD_LEN, family.address_length);
    message.End(part);
  }
  message.End(parts);
  message.End(description);
  batch.Add(message);
}

class Expression {
 public:
  Expression(NftMessage& message, const char* name) : message_(message), outer_(message.Nest(NFTA_LIST_ELEM)) {
    message.PutString(NFTA_EXPR_NAME, name);
    data_ = message.Nest(NFTA_EXPR_DATA);
  }
  ~Expression() {
    message_.End(data_);
    message_.End(outer_);
  }
  Expression(const Expression&) = delete;
  Expression& operator=(const Expression&) = delete;

 private:
  NftMessage& message_;
  nlattr *outer_, *data_;
};

void PutLoad(NftMessage& message, uint32_t to, uint32_t offset, uint32_t length) {
  Expression load(message, "payload");
  message.PutBig32(NFTA_PAYLOAD_DREG, to);
  message.PutBig32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
  message.PutBig32(NFTA_PAYLOAD_OFFSET, offset);
  message.PutBig32(NFTA_PAYLOAD_LEN, length);
}

void PutRule(Batch& batch, const Family& family) {
  NftMessage message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
  message.PutString(NFTA_RULE_TABLE, kTable);
  message.PutString(NFTA_RULE_CHAIN, kChain);
  nlattr* expressions = message.Nest(NFTA_RULE_EXPRESSIONS);
  {
    Expression meta(message, "meta");
    message.PutBig32(NFTA_META_DREG, NFT_REG_1);
    message.PutBig32(NFTA_META_KEY, NFT_META_NFPROTO);
  }
  {
    Expression compare(message, "cmp");
    message.PutBig32(NFTA_CMP_SREG, NFT_REG_1);
    message.PutBig32(NFTA_CMP_OP, NFT_CMP_EQ);
    nlattr* data = message.Nest(NFTA_CMP_DATA);
    message.Put(NFTA_DATA_VALUE, &family.protocol, sizeof family.protocol);
    message.End(data);
  }
  PutLoad(message, family.source_register, family.source_offset, family.address_length);
  PutLoad(message, family.destination_register, family.destination_offset, family.address_length);
  {
    Expression lookup(message, "lookup");
    message.PutString(NFTA_LOOKUP_SET, family.set);
    message.PutBig32(NFTA_LOOKUP_SREG, family.source_register);
    message.PutBig32(NFTA_LOOKUP_SET_ID, family.set_id);
  }
  {
    Expression masquerade(message, "masq");
  }
  message.End(expressions);
  batch.Add(message);
}

void PutKey(NftMessage& message, uint16_t type, const IpAddress& source, const IpAddress& destination) {
  char key[2 * sizeof source.bytes];
  std::memcpy(key, source.bytes.data(), source.length);
  std::memcpy(key + source.length, destination.bytes.data(), source.length);
  nlattr* nest = message.Nest(type);
  message.Put(NFTA_DATA_VALUE, key, 2 * source.length);
  message.End(nest);
}

void PutElements(Batch& batch, int verb, const std::vector<MasqueradeRange>& ranges) {
  for (const Family& family : kFamilies) {
    std::vector<const MasqueradeRange*> own;
    for (const MasqueradeRange& range : ranges) {
      if (range.source.family == family.family) own.push_back(&range);
    }
    for (size_t at = 0; at < own.size(); at += kElementsInOneMessage) {
      NftMessage message(verb, verb == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0);
      message.PutString(NFTA_SET_ELEM_LIST_TABLE, kTable);
      message.PutString(NFTA_SET_ELEM_LIST_SET, family.set);
      nlattr* elements = message.Nest(NFTA_SET_ELEM_LIST_ELEMENTS);
      for (size_t i = at; i < std::min(own.size(), at + kElementsInOneMessage); i++) {
        nlattr* element = message.Nest(NFTA_LIST_ELEM);
        PutKey(message, NFTA_SET_ELEM_KEY, own[i]->source, own[i]->first);
        PutKey(message, NFTA_SET_ELEM_KEY_END, own[i]->source, own[i]->last);
        message.End(element);
      }
      message.End(elements);
      batch.Add(message);
    }
  }
}

// The second address of a key, and the first if `source` is given. False if the attribute is not of this family.
bool ReadKey(const nlattr* nest, const Family& family, IpAddress* source, IpAddress* destination) {
  for (const nlattr* attr : Attributes(nest)) {
    if (mnl_attr_get_type(attr) != NFTA_DATA_VALUE) continue;
    if (mnl_attr_get_payload_len(attr) != 2 * family.address_length) return false;
    auto* bytes = static_cast<const char*>(mnl_attr_get_payload(attr));
    for (IpAddress* ip : {source, destination}) {
      ip->family = family.family;
      ip->length = family.address_length;
      std::memcpy(ip->bytes.data(), bytes, family.address_length);
      bytes += family.address_length;
    }
    return true;
  }
  return false;
}

void ReadElements(const nlmsghdr* nlh, const Family& family, std::vector<MasqueradeRange>* ranges) {
  for (const nlattr* list : Attributes(nlh, sizeof(nfgenmsg))) {
    if (mnl_attr_get_type(list) != NFTA_SET_ELEM_LIST_ELEMENTS) continue;
    for (const nlattr* element : Attributes(list)) {
      MasqueradeRange range;
      bool complete = false;
      for (const nlattr* attr : Attributes(element)) {
        IpAddress again;
        if (mnl_attr_get_type(attr) == NFTA_SET_ELEM_KEY && ReadKey(attr, family, &range.source, &range.first)) {
          if (!complete) range.last = range.first;
        } else if (mnl_attr_get_type(attr) == NFTA_SET_ELEM_KEY_END) {
          complete = ReadKey(attr, family, &again, &range.last);
        }
      }
      if (range.source.length > 0) ranges->push_back(range);
    }
  }
}

uint32_t CountRules(NetlinkSocket& netfilter) {
  NftMessage message(NFT_MSG_GETCHAIN, 0);
  message.PutString(NFTA_CHAIN_TABLE, kTable);
  message.PutString(NFTA_CHAIN_NAME, kChain);
  uint32_t rules = 0;
  netfilter.Request(message, [&rules](const nlmsghdr* nlh) {
    for (const nlattr* attr : Attributes(nlh, sizeof(nfgenmsg))) {
      if (mnl_attr_get_type(attr) == NFTA_CHAIN_USE) rules = ntohl(mnl_attr_get_u32(attr));
    }
  });
  return rules;
}

}  // namespace

std::optional<std::vector<MasqueradeRange>> ReadMasquerade(NetlinkSocket& netfilter) {
  std::vector<MasqueradeRange> ranges;
  try {
    if (CountRules(netfilter) != kRules) return std::nullopt;
    for (const Family& family : kFamilies) {
      NftMessage message(NFT_MSG_GETSETELEM, 0);
      message.PutString(NFTA_SET_ELEM_LIST_TABLE, kTable);
      message.PutString(NFTA_SET_ELEM_LIST_SET, family.set);
      netfilter.Dump(message, [&](const nlmsghdr* nlh) { ReadElements(nlh, family, &ranges); });
    }
  } catch (const KernelError& error) {
    if (error.err == ENOENT) return std::nullopt;
    throw;
  }
  return ranges;
}

void ReplaceMasquerade(NetlinkSocket& netfilter, const std::vector<MasqueradeRange>& ranges) {
  Batch batch;
  // One that is not there cannot be deleted: so it is made first.
  PutTable(batch, NFT_MSG_NEWTABLE);
  PutTable(batch, NFT_MSG_DELTABLE);
  if (!ranges.empty()) {
    PutTable(batch, NFT_MSG_NEWTABLE);
    PutChain(batch);
    for (const Family& family : kFamilies) {
      PutSet(batch, family);
      PutRule(batch, family);
    }
    PutElements(batch, NFT_MSG_NEWSETELEM, ranges);
  }
  batch.Send(netfilter);
}

void ChangeMasquerade(NetlinkSocket& netfilter, const std::vector<MasqueradeRange>& add,
                      const std::vector<MasqueradeRange>& remove) {
  Batch batch;
  PutElements(batch, NFT_MSG_DELSETELEM, remove);
  PutElements(batch, NFT_MSG_NEWSETELEM, add);
  batch.Send(netfilter);
}

}  // namespace pw
