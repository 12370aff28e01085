// SPDX-License-Identifier: Apache-2.0
#include "link.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstring>

#include "convert.h"

namespace pw {

namespace {

std::string Text(const nlattr* attr) {
  auto* data = static_cast<const char*>(mnl_attr_get_payload(attr));
  return std::string(data, strnlen(data, mnl_attr_get_payload_len(attr)));
}

// Zero for an attribute that is too short, as none of these is.
uint32_t U32(const nlattr* attr) {
  return mnl_attr_get_payload_len(attr) >= sizeof(uint32_t) ? mnl_attr_get_u32(attr) : 0;
}
uint8_t U8(const nlattr* attr) {
  return mnl_attr_get_payload_len(attr) >= 1 ? mnl_attr_get_u8(attr) : 0;
}

void ParseLinkInfo(const nlattr* info, Link& link) {
  const nlattr* data = nullptr;
  const nlattr* member_data = nullptr;
  for (const nlattr* attr : Attributes(info)) {
    switch (mnl_attr_get_type(attr)) {
      case IFLA_INFO_KIND:
        link.kind = Text(attr);
        break;
      case IFLA_INFO_DATA:
        data = attr;
        break;
      case IFLA_INFO_SLAVE_KIND:
        link.master_kind = Text(attr);
        break;
      case IFLA_INFO_SLAVE_DATA:
        member_data = attr;
        break;
    }
  }
  link.data = DecodeLinkData(link.kind, data);
  link.member_data = DecodeLinkData(MemberOf(link.master_kind), member_data);
}

void ParseStats(const nlattr* attr, LinkStats& stats) {
  rtnl_link_stats64 raw{};  // shorter on older kernels
  std::memcpy(&raw, mnl_attr_get_payload(attr), std::min<size_t>(sizeof raw, mnl_attr_get_payload_len(attr)));
  stats = {raw.rx_packets, raw.rx_bytes, raw.rx_errors, raw.rx_dropped,
           raw.tx_packets, raw.tx_bytes, raw.tx_errors, raw.tx_dropped};
}

bool IsPciPath(const std::string& name) {
  unsigned domain, bus, device, function;
  int end = 0;
  return std::sscanf(name.c_str(), "%x:%x:%x.%x%n", &domain, &bus, &device, &function, &end) == 4 &&
         static_cast<size_t>(end) == name.size();
}

// A virtio device is the only child of its PCI function; rtnetlink names the child. sysfs knows the parent:
// /sys/bus/virtio/devices/virtio0 -> ../../../devices/pci0000:00/0000:00:03.0/virtio0, in every network namespace.
std::string PciPath(const Link& link) {
  if (link.parent_bus == "pci") return link.parent_device;
  if (link.parent_bus.empty() || link.parent_device.empty()) return "";
  std::string file = "/sys/bus/" + link.parent_bus + "/devices/" + link.parent_device;
  char target[PATH_MAX];
  ssize_t length = readlink(file.c_str(), target, sizeof target);
  if (length <= 0) return "";
  std::string path(target, static_cast<size_t>(length));
  path.erase(std::min(path.rfind('/'), path.size()));
  size_t slash = path.rfind('/');
  std::string parent = slash == std::string::npos ? path : path.substr(slash + 1);
  return IsPciPath(parent) ? parent : "";
}

}  // namespace

bool IsLinkMessage(const nlmsghdr* nlh) {
  if (nlh->nlmsg_type != RTM_NEWLINK && nlh->nlmsg_type != RTM_DELLINK) return false;
  if (mnl_nlmsg_get_payload_len(nlh) < sizeof(ifinfomsg)) return false;
  return static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(nlh))->ifi_family == AF_UNSPEC;
}

Link ParseLink(const nlmsghdr* nlh) {
  auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(nlh));
  Link link;
  link.ifindex = static_cast<uint32_t>(info->ifi_index);
  link.flags = info->ifi_flags;
  for (const nlattr* attr : Attributes(nlh, sizeof *info)) {
    switch (mnl_attr_get_type(attr)) {
      case IFLA_IFNAME:
        link.name = Text(attr);
        break;
      case IFLA_IFALIAS:
        link.alias = Text(attr);
        break;
      case IFLA_GROUP:
        link.group = U32(attr);
        break;
      case IFLA_ADDRESS:
        link.mac = FormatMac(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
        break;
      case IFLA_PERM_ADDRESS:
        link.permanent_mac = FormatMac(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
        break;
      case IFLA_PARENT_DEV_NAME:
        link.parent_device = Text(attr);
        break;
      case IFLA_PARENT_DEV_BUS_NAME:
        link.parent_bus = Text(attr);
        break;
      case IFLA_PROP_LIST: {
        for (const nlattr* name : Attributes(attr)) {
          if (mnl_attr_get_type(name) == IFLA_ALT_IFNAME) link.alt_names.push_back(Text(name));
        }
        break;
      }
      case IFLA_OPERSTATE:
        link.oper_state = U8(attr);
        break;
      case IFLA_CARRIER:
        link.carrier = U8(attr) != 0;
        break;
      case IFLA_MTU:
        link.mtu = U32(attr);
        break;
      case IFLA_MIN_MTU:
        link.min_mtu = U32(attr);
        break;
      case IFLA_MAX_MTU:
        link.max_mtu = U32(attr);
        break;
      case IFLA_TXQLEN:
        link.tx_queue_length = U32(attr);
        break;
      case IFLA_MASTER:
        link.master = U32(attr);
        break;
      case IFLA_LINK:
        link.link = U32(attr);
        break;
      case IFLA_LINK_NETNSID:
        link.link_netnsid = static_cast<int32_t>(U32(attr));
        break;
      case IFLA_PROMISCUITY:
        link.promiscuity = U32(attr);
        break;
      case IFLA_CARRIER_CHANGES:
        link.carrier_changes = U32(attr);
        break;
      case IFLA_LINKINFO:
        ParseLinkInfo(attr, link);
        break;
      case IFLA_STATS64:
        ParseStats(attr, link.stats);
        break;
    }
  }
  link.pci_path = PciPath(link);
  if (link.alias.empty() && (link.group == kOwnGroup || link.group == kLeavingGroup)) link.alias = kUnnamed;
  return link;
}

std::vector<Link> DumpLinks(NetlinkSocket& socket, std::optional<int32_t> netnsid) {
  Message message(RTM_GETLINK, 0, "links");
  message.Header<ifinfomsg>();
  if (netnsid) message.Put32(IFLA_TARGET_NETNSID, static_cast<uint32_t>(*netnsid));
  std::vector<Link> links;
  socket.Dump(message, [&](const nlmsghdr* nlh) {
    if (IsLinkMessage(nlh)) links.push_back(ParseLink(nlh));
  });
  return links;
}

std::optional<Link> GetLink(NetlinkSocket& socket, const LinkRef& ref) {
  Message message(RTM_GETLINK, 0, ref.Text());
  auto* info = message.Header<ifinfomsg>();
  info->ifi_index = static_cast<int>(ref.ifindex);
  if (ref.ifindex == 0) message.PutString(IFLA_IFNAME, ref.name);
  if (ref.netnsid) message.Put32(IFLA_TARGET_NETNSID, static_cast<uint32_t>(*ref.netnsid));  // since 4.20
  std::optional<Link> link;
  try {
    socket.Request(message, [&](const nlmsghdr* nlh) {
      if (IsLinkMessage(nlh)) link = ParseLink(nlh);
    });
  } catch (const KernelError& e) {
    if (e.err == ENODEV) return std::nullopt;
    throw;
  }
  return link;
}

uint32_t ResolveLink(NetlinkSocket& socket, const LinkRef& ref) {
  if (ref.ifindex != 0) return ref.ifindex;
  std::optional<Link> link = GetLink(socket, ref);
  if (!link) throw KernelError(ENODEV, "RTM_GETLINK", ref.Text());
  return link->ifindex;
}

}  // namespace pw
