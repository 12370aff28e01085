// SPDX-License-Identifier: Apache-2.0
// Creating and changing links.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "convert.h"
#include "fd.h"
#include "link.h"

namespace pw {

// What may be set; absent means "leave". See LinkSettings in daemon/kernel/kernel.ts.
struct LinkSettings {
  std::optional<bool> up, promiscuous, no_arp, no_ipv6_link_local;
  std::optional<std::string> name, alias;
  std::optional<uint32_t> mtu, tx_queue_length, master;
  std::optional<Mac> mac;
  LinkData data;
  LinkData member_data;  // of a link that has a master already
  std::shared_ptr<Fd> netns;
};

struct PeerSettings {
  std::string name;
  std::optional<Mac> mac;
  std::optional<uint32_t> mtu;
  std::shared_ptr<Fd> netns;
};

struct TapSettings {
  bool multi_queue = false;
  std::optional<uint32_t> owner, group;  // absent: only root opens it
};

struct LinkCreate {
  std::string kind;
  LinkSettings settings;  // with a name
  std::optional<uint32_t> link;
  std::optional<PeerSettings> peer;
  std::optional<TapSettings> tap;
};

struct Created {
  uint32_t ifindex = 0, peer_ifindex = 0;
  std::string mac;
};

// Either the link exists as asked for, or it does not exist and this throws.
Created CreateLink(NetlinkSocket& socket, std::atomic<uint64_t>* writes, const LinkCreate& create);
void ChangeLink(NetlinkSocket& socket, const LinkRef& ref, const LinkSettings& settings);

}  // namespace pw
