// SPDX-License-Identifier: Apache-2.0
#include "masquerade_elements.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace pw {

namespace {

// An element has at most 44 bytes; a message holds 16 KiB.
constexpr size_t kElementsInOneMessage = 300;

using Key = std::vector<uint8_t>;

void Append(Key& key, const IpAddress& ip) {
  key.insert(key.end(), ip.bytes.begin(), ip.bytes.begin() + static_cast<ptrdiff_t>(ip.length));
}

Key SourceKey(const IpPrefix& source) {
  Key key;
  Append(key, source.address);
  return key;
}

Key SubnetKey(const IpPrefix& subnet) {
  const IpAddress mask = Netmask(subnet);
  IpAddress first = subnet.address;
  for (size_t i = 0; i < first.length; i++) first.bytes[i] &= mask.bytes[i];
  Key key;
  Append(key, first);
  Append(key, first);
  return key;
}

void PutElement(NftMessage& message, const Key& key) {
  nlattr* element = message.Nest(NFTA_LIST_ELEM);
  message.PutValue(NFTA_SET_ELEM_KEY, key.data(), key.size());
  message.End(element);
}

NftMessage About(int verb, uint16_t flags, const std::string& set) {
  NftMessage message(verb, flags, kMasqueradeTable);
  message.PutString(NFTA_SET_ELEM_LIST_TABLE, kMasqueradeTable);
  message.PutString(NFTA_SET_ELEM_LIST_SET, set);
  return message;
}

void PutKeys(NftTransaction& transaction, int verb, const std::string& set, const std::vector<Key>& keys) {
  for (size_t at = 0; at < keys.size(); at += kElementsInOneMessage) {
    NftMessage message = About(verb, verb == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0, set);
    nlattr* elements = message.Nest(NFTA_SET_ELEM_LIST_ELEMENTS);
    for (size_t i = at; i < std::min(keys.size(), at + kElementsInOneMessage); i++) PutElement(message, keys[i]);
    message.End(elements);
    transaction.Add(message);
  }
}

std::vector<Key> KeysOf(const MasqueradeSets& sets, const std::vector<IpPrefix>& all, Key (*key)(const IpPrefix&)) {
  std::vector<Key> keys;
  for (const IpPrefix& one : all) {
    if (sets.Has(one)) keys.push_back(key(one));
  }
  return keys;
}

Key ReadKey(const nlattr* element) {
  for (const nlattr* attr : Attributes(element)) {
    if (mnl_attr_get_type(attr) != NFTA_SET_ELEM_KEY) continue;
    for (const nlattr* value : Attributes(attr)) {
      if (mnl_attr_get_type(value) != NFTA_DATA_VALUE) continue;
      auto* bytes = static_cast<const uint8_t*>(mnl_attr_get_payload(value));
      return Key(bytes, bytes + mnl_attr_get_payload_len(value));
    }
  }
  return {};
}

// False: there is a key that `key` would not have made.
bool ReadKeys(NetlinkSocket& netfilter, const MasqueradeSets& sets, const std::string& set, Key (*key)(const IpPrefix&),
              std::vector<IpPrefix>* all) {
  bool ours = true;
  const uint32_t length = sets.family->address_length;
  NftMessage message = About(NFT_MSG_GETSETELEM, 0, set);
  netfilter.Dump(message, [&](const nlmsghdr* nlh) {
    for (const nlattr* list : Attributes(nlh, sizeof(nfgenmsg))) {
      if (mnl_attr_get_type(list) != NFTA_SET_ELEM_LIST_ELEMENTS) continue;
      for (const nlattr* element : Attributes(list)) {
        const Key found = ReadKey(element);
        IpPrefix one{{sets.family->family, length, {}}, sets.length};
        std::copy_n(found.begin(), std::min<size_t>(found.size(), length), one.address.bytes.begin());
        if (key(one) == found) {
          all->push_back(one);
        } else {
          ours = false;
        }
      }
    }
  });
  return ours;
}

// The number behind `prefix`; nullopt: it is another name.
std::optional<uint8_t> LengthIn(std::string_view name, std::string_view prefix, uint32_t most) {
  if (name.substr(0, prefix.size()) != prefix) return std::nullopt;
  name.remove_prefix(prefix.size());
  unsigned length = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), length);
  if (error != std::errc() || end != name.data() + name.size() || length > most) return std::nullopt;
  return static_cast<uint8_t>(length);
}

}  // namespace

IpAddress Netmask(const IpPrefix& prefix) {
  IpAddress mask{prefix.address.family, prefix.address.length, {}};
  for (unsigned bit = 0; bit < prefix.length; bit++) mask.bytes[bit / 8] |= static_cast<uint8_t>(0x80 >> bit % 8);
  return mask;
}

std::vector<MasqueradeSets> SetsFor(const Masquerade& masquerade) {
  std::vector<MasqueradeSets> sets;
  for (const auto* list : {&masquerade.sources, &masquerade.subnets}) {
    for (const IpPrefix& one : *list) {
      if (std::any_of(sets.begin(), sets.end(), [&one](const MasqueradeSets& known) { return known.Has(one); }))
        continue;
      sets.push_back({&kMasqueradeFamilies[one.address.family == AF_INET ? 0 : 1], one.length});
    }
  }
  return sets;
}

std::optional<std::vector<MasqueradeSets>> ReadSets(NetlinkSocket& netfilter) {
  std::vector<MasqueradeSets> sets;
  size_t subnets = 0, others = 0;
  NftMessage message(NFT_MSG_GETSET, 0, kMasqueradeTable);
  message.PutString(NFTA_SET_TABLE, kMasqueradeTable);
  netfilter.Dump(message, [&](const nlmsghdr* nlh) {
    for (const nlattr* attr : Attributes(nlh, sizeof(nfgenmsg))) {
      if (mnl_attr_get_type(attr) != NFTA_SET_NAME) continue;
      const char* name = mnl_attr_get_str(attr);
      others++;
      for (const MasqueradeFamily& family : kMasqueradeFamilies) {
        if (auto length = LengthIn(name, family.sources, 8 * family.address_length)) sets.push_back({&family, *length});
        if (LengthIn(name, family.subnets, 8 * family.address_length)) subnets++;
      }
    }
  });
  if (subnets != sets.size() || others != 2 * subnets) return std::nullopt;
  return sets;
}

void PutElements(NftTransaction& transaction, int verb, const Masquerade& masquerade) {
  for (const MasqueradeSets& sets : SetsFor(masquerade)) {
    PutKeys(transaction, verb, sets.Subnets(), KeysOf(sets, masquerade.subnets, SubnetKey));
    PutKeys(transaction, verb, sets.Sources(), KeysOf(sets, masquerade.sources, SourceKey));
  }
}

std::optional<Masquerade> ReadElements(NetlinkSocket& netfilter, const std::vector<MasqueradeSets>& sets) {
  Masquerade all;
  for (const MasqueradeSets& one : sets) {
    if (!ReadKeys(netfilter, one, one.Sources(), SourceKey, &all.sources) ||
        !ReadKeys(netfilter, one, one.Subnets(), SubnetKey, &all.subnets)) {
      return std::nullopt;
    }
  }
  return all;
}

void FindSource(NetlinkSocket& netfilter, const IpPrefix& source) {
  const MasqueradeSets sets = SetsFor({{source}, {}}).front();
  NftMessage message = About(NFT_MSG_GETSETELEM, 0, sets.Sources());
  nlattr* elements = message.Nest(NFTA_SET_ELEM_LIST_ELEMENTS);
  PutElement(message, SourceKey(source));
  message.End(elements);
  netfilter.Request(message);
}

}  // namespace pw
