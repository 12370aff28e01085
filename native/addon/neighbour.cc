// SPDX-License-Identifier: Apache-2.0
// Neighbours: ARP and ND entries, and with AF_BRIDGE the forwarding database (RTM_*NEIGH).
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>
#include <optional>

#include "convert.h"
#include "route_state.h"

namespace pw {

namespace {

constexpr double kUserHz = 100;  // USER_HZ, the unit of nda_cacheinfo, is the same everywhere but on alpha and ia64

struct Neighbour {
  uint32_t ifindex = 0;
  uint8_t family = 0, flags = 0;
  uint16_t state = 0;
  std::string address, mac;
  std::optional<uint16_t> vlan;
  std::optional<double> updated;
};

Neighbour NeighbourFromJs(const Napi::Value& value) {
  Napi::Object o = ToObject(value, "neighbour");
  Neighbour n;
  n.ifindex = NeedU32(o, "ifindex", INT32_MAX);
  n.family = static_cast<uint8_t>(NeedU32(o, "family", UINT8_MAX));
  n.address = NeedString(o, "address");
  n.mac = NeedString(o, "mac");
  n.state = static_cast<uint16_t>(NeedU32(o, "state", UINT16_MAX));
  n.flags = static_cast<uint8_t>(NeedU32(o, "flags", UINT8_MAX));
  if (auto vlan = OptU32(o, "vlan", 4094)) n.vlan = static_cast<uint16_t>(*vlan);
  if (!n.address.empty() && ParseIp(n.address, "address").family != n.family) {
    throw KernelError(EINVAL, "argument", "address", "an address of another family");
  }
  if (!n.mac.empty()) ParseMac(n.mac, "mac");
  return n;
}

void Send(NetlinkSocket& socket, uint16_t type, uint16_t flags, const Neighbour& n) {
  Message message(type, flags, n.address.empty() ? n.mac : n.address);
  auto* header = message.Header<ndmsg>();
  header->ndm_family = n.family;
  header->ndm_ifindex = static_cast<int>(n.ifindex);
  header->ndm_state = n.state;
  header->ndm_flags = n.flags;
  if (!n.address.empty()) {
    IpAddress ip = ParseIp(n.address, "address");
    message.Put(NDA_DST, ip.bytes.data(), ip.length);
  }
  if (!n.mac.empty()) {
    Mac mac = ParseMac(n.mac, "mac");
    message.Put(NDA_LLADDR, mac.data(), mac.size());
  }
  if (n.vlan) message.Put16(NDA_VLAN, *n.vlan);
  socket.Request(message);
}

std::optional<Neighbour> ParseNeighbour(const nlmsghdr* nlh) {
  if (nlh->nlmsg_type != RTM_NEWNEIGH || mnl_nlmsg_get_payload_len(nlh) < sizeof(ndmsg)) return std::nullopt;
  auto* header = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(nlh));
  Neighbour n;
  n.ifindex = static_cast<uint32_t>(header->ndm_ifindex);
  n.family = header->ndm_family;
  n.state = header->ndm_state;
  n.flags = header->ndm_flags;
  for (const nlattr* attr : Attributes(nlh, sizeof *header)) {
    switch (mnl_attr_get_type(attr)) {
      case NDA_DST:
        n.address = FormatIp(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
        break;
      case NDA_LLADDR:
        n.mac = FormatMac(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
        break;
      case NDA_VLAN:
        n.vlan = mnl_attr_get_u16(attr);
        break;
      case NDA_CACHEINFO:
        if (mnl_attr_get_payload_len(attr) < sizeof(nda_cacheinfo)) break;
        n.updated = static_cast<const nda_cacheinfo*>(mnl_attr_get_payload(attr))->ndm_updated / kUserHz;
        break;
    }
  }
  return n;
}

Napi::Value NeighbourToJs(Napi::Env env, const Neighbour& n) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("ifindex", Napi::Number::New(env, n.ifindex));
  o.Set("family", Napi::Number::New(env, n.family));
  o.Set("address", Napi::String::New(env, n.address));
  o.Set("mac", Napi::String::New(env, n.mac));
  o.Set("state", Napi::Number::New(env, n.state));
  o.Set("flags", Napi::Number::New(env, n.flags));
  if (n.vlan) o.Set("vlan", Napi::Number::New(env, *n.vlan));
  if (n.updated) o.Set("updated", Napi::Number::New(env, *n.updated));
  return o;
}

// neighbours(ns, family, ifindex?)
Napi::Value Neighbours(const Napi::CallbackInfo& info) {
  auto family = static_cast<uint8_t>(ToU32(info[1], "family", UINT8_MAX));
  uint32_t ifindex = info[2].IsUndefined() ? 0 : ToU32(info[2], "ifindex", INT32_MAX);
  return ListOnSocket<Neighbour>(
      info,
      [family, ifindex](NetlinkSocket& socket) {
        Message message(RTM_GETNEIGH, 0, "neighbours");
        message.Header<ndmsg>()->ndm_family = family;
        if (ifindex) message.Put32(NDA_IFINDEX, ifindex);
        std::vector<Neighbour> list;
        socket.Dump(message, [&](const nlmsghdr* nlh) {
          auto n = ParseNeighbour(nlh);
          if (n && (ifindex == 0 || n->ifindex == ifindex)) list.push_back(std::move(*n));
        });
        return list;
      },
      NeighbourToJs);
}

Napi::Value Set(const Napi::CallbackInfo& info) {
  Neighbour n = NeighbourFromJs(info[1]);
  return OnSocket(info, [n](NetlinkSocket& socket) { Send(socket, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, n); });
}

Napi::Value Remove(const Napi::CallbackInfo& info) {
  Neighbour n = NeighbourFromJs(info[1]);
  return OnSocket(info, [n](NetlinkSocket& socket) { Send(socket, RTM_DELNEIGH, 0, n); });
}

}  // namespace

void InitNeighbours(Napi::Env, Napi::Object exports) {
  Export<Neighbours>(exports, "neighbours");
  Export<Set>(exports, "setNeighbour");
  Export<Remove>(exports, "removeNeighbour");
}

}  // namespace pw
