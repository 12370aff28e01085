// SPDX-License-Identifier: Apache-2.0
// VLAN filter entries of bridges and their ports: IFLA_BRIDGE_VLAN_INFO in AF_BRIDGE link messages.
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "convert.h"
#include "link.h"
#include "route_state.h"

namespace pw {

namespace {

constexpr uint32_t kMaxVid = 4094;
constexpr size_t kRangesInOneMessage = 256;  // 16 bytes each; a message holds 16 KiB

struct VlanRange {
  uint16_t first = 0, last = 0;
  bool pvid = false, untagged = false;
};

struct BridgeVlan {
  uint32_t ifindex;
  uint16_t vid;
  bool pvid, untagged;
};

std::vector<VlanRange> RangesFromJs(const Napi::Value& value) {
  if (!value.IsArray()) throw KernelError(EINVAL, "argument", "vlans", "an array is needed");
  auto array = value.As<Napi::Array>();
  std::vector<VlanRange> ranges;
  for (uint32_t i = 0; i < array.Length(); i++) {
    Napi::Object o = ToObject(array.Get(i), "vlan");
    VlanRange range;
    range.first = static_cast<uint16_t>(NeedU32(o, "first", kMaxVid));
    range.last = static_cast<uint16_t>(NeedU32(o, "last", kMaxVid));
    range.pvid = OptBool(o, "pvid").value_or(false);
    range.untagged = OptBool(o, "untagged").value_or(false);
    if (range.first == 0 || range.first > range.last || (range.pvid && range.first != range.last)) {
      throw KernelError(EINVAL, "argument", "VLAN " + std::to_string(range.first) + "-" + std::to_string(range.last),
                        range.pvid ? "one VLAN can be the PVID, not a range" : "a range lies within 1 to 4094");
    }
    ranges.push_back(range);
  }
  return ranges;
}

void PutVlan(Message& message, uint16_t vid, uint16_t flags) {
  bridge_vlan_info info{flags, vid};
  message.Put(IFLA_BRIDGE_VLAN_INFO, &info, sizeof info);
}

void Send(NetlinkSocket& socket, uint16_t type, uint32_t ifindex, const std::vector<VlanRange>& ranges) {
  std::optional<Link> link = GetLink(socket, {ifindex, {}});
  if (!link) throw KernelError(ENODEV, OpName(type), "ifindex " + std::to_string(ifindex));
  // A port's entries are set through its bridge, a bridge's own by itself.
  bool self = link->kind == "bridge" && link->master_kind != "bridge";
  for (size_t at = 0; at < ranges.size(); at += kRangesInOneMessage) {
    Message message(type, 0, link->name);
    auto* header = message.Header<ifinfomsg>();
    header->ifi_family = AF_BRIDGE;
    header->ifi_index = static_cast<int>(ifindex);
    nlattr* spec = message.Nest(IFLA_AF_SPEC);
    message.Put16(IFLA_BRIDGE_FLAGS, self ? BRIDGE_FLAGS_SELF : BRIDGE_FLAGS_MASTER);
    for (size_t i = at; i < std::min(ranges.size(), at + kRangesInOneMessage); i++) {
      const VlanRange& range = ranges[i];
      uint16_t flags = static_cast<uint16_t>((range.pvid ? BRIDGE_VLAN_INFO_PVID : 0) |
                                             (range.untagged ? BRIDGE_VLAN_INFO_UNTAGGED : 0));
      if (range.first == range.last) {
        PutVlan(message, range.first, flags);
      } else {
        PutVlan(message, range.first, flags | BRIDGE_VLAN_INFO_RANGE_BEGIN);
        PutVlan(message, range.last, flags | BRIDGE_VLAN_INFO_RANGE_END);
      }
    }
    message.End(spec);
    socket.Request(message);
  }
}

void ParseVlans(const nlmsghdr* nlh, std::vector<BridgeVlan>& list) {
  if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(ifinfomsg)) return;
  auto* header = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(nlh));
  if (header->ifi_family != AF_BRIDGE) return;
  for (const nlattr* attr : Attributes(nlh, sizeof *header)) {
    if (mnl_attr_get_type(attr) != IFLA_AF_SPEC) continue;
    uint16_t begin = 0;
    for (const nlattr* inner : Attributes(attr)) {
      bridge_vlan_info info;
      if (mnl_attr_get_type(inner) != IFLA_BRIDGE_VLAN_INFO || mnl_attr_get_payload_len(inner) < sizeof info) continue;
      std::memcpy(&info, mnl_attr_get_payload(inner), sizeof info);
      if (info.flags & BRIDGE_VLAN_INFO_RANGE_BEGIN) {
        begin = info.vid;
        continue;
      }
      uint16_t first = (info.flags & BRIDGE_VLAN_INFO_RANGE_END) ? begin : info.vid;
      for (uint32_t vid = first; vid <= info.vid; vid++) {
        list.push_back({static_cast<uint32_t>(header->ifi_index), static_cast<uint16_t>(vid),
                        (info.flags & BRIDGE_VLAN_INFO_PVID) != 0, (info.flags & BRIDGE_VLAN_INFO_UNTAGGED) != 0});
      }
    }
  }
}

// RTM_NEWVLAN (Linux 5.6): a range is its first VLAN and the number of its last.
void ParseEntries(const nlmsghdr* nlh, std::vector<BridgeVlan>& list) {
  if (nlh->nlmsg_type != RTM_NEWVLAN || mnl_nlmsg_get_payload_len(nlh) < sizeof(br_vlan_msg)) return;
  auto* header = static_cast<const br_vlan_msg*>(mnl_nlmsg_get_payload(nlh));
  for (const nlattr* entry : Attributes(nlh, sizeof *header)) {
    if (mnl_attr_get_type(entry) != BRIDGE_VLANDB_ENTRY) continue;
    bridge_vlan_info info{};
    uint16_t last = 0;
    for (const nlattr* attr : Attributes(entry)) {
      const uint16_t length = mnl_attr_get_payload_len(attr);
      if (mnl_attr_get_type(attr) == BRIDGE_VLANDB_ENTRY_INFO && length >= sizeof info)
        std::memcpy(&info, mnl_attr_get_payload(attr), sizeof info);
      if (mnl_attr_get_type(attr) == BRIDGE_VLANDB_ENTRY_RANGE && length >= sizeof last) last = mnl_attr_get_u16(attr);
    }
    for (uint32_t vid = info.vid; vid != 0 && vid <= std::max(info.vid, last); vid++) {
      list.push_back({header->ifindex, static_cast<uint16_t>(vid), (info.flags & BRIDGE_VLAN_INFO_PVID) != 0,
                      (info.flags & BRIDGE_VLAN_INFO_UNTAGGED) != 0});
    }
  }
}

// Of one link, without those of all others. A link that is gone, or in no bridge, has none.
std::vector<BridgeVlan> VlansOf(NetlinkSocket& socket, uint32_t ifindex) {
  Message message(RTM_GETVLAN, 0, "bridge VLANs");
  auto* header = message.Header<br_vlan_msg>();
  header->family = AF_BRIDGE;
  header->ifindex = ifindex;
  std::vector<BridgeVlan> list;
  try {
    socket.Dump(message, [&](const nlmsghdr* nlh) { ParseEntries(nlh, list); });
  } catch (const KernelError& error) {
    if (error.err != ENODEV && error.err != EINVAL) throw;  // br_vlan_rtm_dump, net/bridge/br_vlan.c
  }
  return list;
}

Napi::Value VlanToJs(Napi::Env env, const BridgeVlan& vlan) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("ifindex", Napi::Number::New(env, vlan.ifindex));
  o.Set("vid", Napi::Number::New(env, vlan.vid));
  o.Set("pvid", Napi::Boolean::New(env, vlan.pvid));
  o.Set("untagged", Napi::Boolean::New(env, vlan.untagged));
  return o;
}

Napi::Value BridgeVlans(const Napi::CallbackInfo& info) {
  const uint32_t ifindex = info[1].IsUndefined() ? 0 : ToU32(info[1], "ifindex", INT32_MAX);
  return ListOnSocket<BridgeVlan>(
      info,
      [ifindex](NetlinkSocket& socket) {
        if (ifindex != 0) return VlansOf(socket, ifindex);
        Message message(RTM_GETLINK, 0, "bridge VLANs");
        message.Header<ifinfomsg>()->ifi_family = AF_BRIDGE;
        message.Put32(IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN_COMPRESSED);
        std::vector<BridgeVlan> list;
        socket.Dump(message, [&](const nlmsghdr* nlh) { ParseVlans(nlh, list); });
        return list;
      },
      VlanToJs);
}

Napi::Value Set(const Napi::CallbackInfo& info) {
  uint32_t ifindex = ToU32(info[1], "ifindex", INT32_MAX);
  auto ranges = RangesFromJs(info[2]);
  return OnSocket(info, [ifindex, ranges](NetlinkSocket& socket) { Send(socket, RTM_SETLINK, ifindex, ranges); });
}

Napi::Value Remove(const Napi::CallbackInfo& info) {
  uint32_t ifindex = ToU32(info[1], "ifindex", INT32_MAX);
  auto ranges = RangesFromJs(info[2]);
  return OnSocket(info, [ifindex, ranges](NetlinkSocket& socket) { Send(socket, RTM_DELLINK, ifindex, ranges); });
}

}  // namespace

void InitBridgeVlans(Napi::Env, Napi::Object exports) {
  Export<BridgeVlans>(exports, "bridgeVlans");
  Export<Set>(exports, "setBridgeVlans");
  Export<Remove>(exports, "removeBridgeVlans");
}

}  // namespace pw
