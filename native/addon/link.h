// SPDX-License-Identifier: Apache-2.0
// One link as the kernel reports it, and how to ask for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "link_data.h"
#include "netlink.h"

namespace pw {

// The kernel takes an alias only for a link that is there (rtnl_newlink_create passes it over), but a group from birth
// on: a link whose maker died between the two messages is known by that. It reads as one with the alias kUnnamed.
constexpr char kOwnAlias[] = "portwright ";  // ALIAS_PREFIX, daemon/model/target.ts
constexpr char kUnnamed[] = "portwright unnamed";
constexpr uint32_t kOwnGroup = 0x7077;
// Of links of ours that are about to go, together (link_delete.cc). Nobody else gets it.
constexpr uint32_t kLeavingGroup = kOwnGroup + 1;

struct LinkStats {
  uint64_t rx_packets = 0, rx_bytes = 0, rx_errors = 0, rx_dropped = 0;
  uint64_t tx_packets = 0, tx_bytes = 0, tx_errors = 0, tx_dropped = 0;
};

struct Link {
  uint32_t ifindex = 0;
  std::string name, alias, kind, mac, permanent_mac, master_kind, parent_bus, parent_device, pci_path;
  std::vector<std::string> alt_names;
  uint32_t flags = 0, oper_state = 0, mtu = 0, min_mtu = 0, max_mtu = 0, tx_queue_length = 0;
  uint32_t group = 0;
  uint32_t master = 0, link = 0, promiscuity = 0, carrier_changes = 0;
  int32_t link_netnsid = -1;
  bool carrier = false;
  LinkData data;
  LinkData member_data;
  LinkStats stats;
};

// A link by index, or by name where no index is known. With the id of another namespace: there, and to be read or
// deleted only. In a message that changes something IFLA_TARGET_NETNSID says where the device shall go (do_setlink).
struct LinkRef {
  uint32_t ifindex = 0;
  std::string name;
  std::optional<int32_t> netnsid = std::nullopt;
  std::string Text() const { return name.empty() ? "ifindex " + std::to_string(ifindex) : name; }
};

// False for messages that are not about a device (AF_BRIDGE port states travel in the same types and groups).
bool IsLinkMessage(const nlmsghdr* nlh);
Link ParseLink(const nlmsghdr* nlh);

// Of the namespace, or of the one with this id (Linux 4.16).
std::vector<Link> DumpLinks(NetlinkSocket& socket, std::optional<int32_t> netnsid);
std::optional<Link> GetLink(NetlinkSocket& socket, const LinkRef& ref);
// ENODEV if there is none.
uint32_t ResolveLink(NetlinkSocket& socket, const LinkRef& ref);

}  // namespace pw
