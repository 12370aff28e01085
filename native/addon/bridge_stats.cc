// SPDX-License-Identifier: Apache-2.0
// What bridges count by VLAN, of their ports and of themselves: BRIDGE_XSTATS_VLAN in answers to RTM_GETSTATS.
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <cstring>

#include "route_state.h"

namespace pw {

namespace {

struct VlanStats {
  uint32_t ifindex;
  bridge_vlan_xstats raw;
};

void ParseVlans(uint32_t ifindex, const nlattr* xstats, std::vector<VlanStats>& list) {
  for (const nlattr* type : Attributes(xstats)) {
    if (mnl_attr_get_type(type) != LINK_XSTATS_TYPE_BRIDGE) continue;
    for (const nlattr* attr : Attributes(type)) {
      if (mnl_attr_get_type(attr) != BRIDGE_XSTATS_VLAN) continue;
      VlanStats stats{ifindex, {}};
      if (mnl_attr_get_payload_len(attr) < sizeof stats.raw) continue;
      std::memcpy(&stats.raw, mnl_attr_get_payload(attr), sizeof stats.raw);
      list.push_back(stats);
    }
  }
}

void ParseStats(const nlmsghdr* nlh, std::vector<VlanStats>& list) {
  if (nlh->nlmsg_type != RTM_NEWSTATS || mnl_nlmsg_get_payload_len(nlh) < sizeof(if_stats_msg)) return;
  auto* header = static_cast<const if_stats_msg*>(mnl_nlmsg_get_payload(nlh));
  for (const nlattr* attr : Attributes(nlh, sizeof *header)) {
    uint16_t type = mnl_attr_get_type(attr);
    if (type == IFLA_STATS_LINK_XSTATS || type == IFLA_STATS_LINK_XSTATS_SLAVE) ParseVlans(header->ifindex, attr, list);
  }
}

Napi::Value StatsToJs(Napi::Env env, const VlanStats& stats) {
  Napi::Object o = Napi::Object::New(env);
  auto number = [&](const char* key, auto v) { o.Set(key, Napi::Number::New(env, static_cast<double>(v))); };
  number("ifindex", stats.ifindex);
  number("vid", stats.raw.vid);
  number("rxPackets", stats.raw.rx_packets);
  number("rxBytes", stats.raw.rx_bytes);
  number("txPackets", stats.raw.tx_packets);
  number("txBytes", stats.raw.tx_bytes);
  return o;
}

// bridgeVlanStats(ns)
Napi::Value BridgeVlanStats(const Napi::CallbackInfo& info) {
  return ListOnSocket<VlanStats>(
      info,
      [](NetlinkSocket& socket) {
        Message message(RTM_GETSTATS, 0, "bridge VLAN counters");
        message.Header<if_stats_msg>()->filter_mask =
            IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_XSTATS) | IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_XSTATS_SLAVE);
        std::vector<VlanStats> list;
        socket.Dump(message, [&](const nlmsghdr* nlh) { ParseStats(nlh, list); });
        return list;
      },
      StatsToJs);
}

}  // namespace

void InitBridgeStats(Napi::Env, Napi::Object exports) {
  Export<BridgeVlanStats>(exports, "bridgeVlanStats");
}

}  // namespace pw
