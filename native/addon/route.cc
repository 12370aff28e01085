// SPDX-License-Identifier: Apache-2.0
// Unicast routes (RTM_*ROUTE).
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "convert.h"
#include "route_state.h"

namespace pw {

namespace {

struct Route {
  IpAddress destination;
  uint8_t prefix_length = 0;
  std::optional<IpAddress> gateway;
  std::optional<uint32_t> ifindex, metric, mtu, table;
  std::optional<uint8_t> scope;
  uint8_t protocol = 0;
  std::string text;  // for errors
};

Route RouteFromJs(const Napi::Value& value) {
  Napi::Object o = ToObject(value, "route");
  Route route;
  route.text = NeedString(o, "destination");
  route.destination = ParseIp(route.text, "destination");
  uint32_t length = NeedU32(o, "prefixLength");
  route.prefix_length = CheckPrefixLength(route.destination, length, route.text);
  route.text += "/" + std::to_string(length);
  if (auto gateway = OptString(o, "gateway")) {
    route.gateway = ParseIp(*gateway, "gateway");
    if (route.gateway->family < route.destination.family) {
      throw KernelError(EINVAL, "argument", "gateway", "an IPv6 route has an IPv6 gateway");
    }
  }
  route.ifindex = OptU32(o, "ifindex", INT32_MAX);
  route.metric = OptU32(o, "metric");
  route.mtu = OptU32(o, "mtu");
  route.table = OptU32(o, "table");
  if (auto scope = OptU32(o, "scope", UINT8_MAX)) route.scope = static_cast<uint8_t>(*scope);
  return route;
}

void Send(NetlinkSocket& socket, uint16_t type, uint16_t flags, const Route& route) {
  Message message(type, flags, route.text);
  auto* header = message.Header<rtmsg>();
  bool adding = type == RTM_NEWROUTE;
  uint32_t table = route.table.value_or(RT_TABLE_MAIN);
  header->rtm_family = static_cast<uint8_t>(route.destination.family);
  header->rtm_dst_len = route.prefix_length;
  header->rtm_table = table < 256 ? static_cast<uint8_t>(table) : static_cast<uint8_t>(RT_TABLE_COMPAT);
  header->rtm_protocol = adding ? RTPROT_STATIC : RTPROT_UNSPEC;
  header->rtm_type = adding ? RTN_UNICAST : RTN_UNSPEC;
  // RT_SCOPE_NOWHERE in a deletion matches any. IPv6 knows no scopes of routes.
  if (route.scope) {
    header->rtm_scope = *route.scope;
  } else if (!adding) {
    header->rtm_scope = RT_SCOPE_NOWHERE;
  } else if (route.destination.family == AF_INET && !route.gateway) {
    header->rtm_scope = RT_SCOPE_LINK;
  }
  if (table >= 256) message.Put32(RTA_TABLE, table);
  if (route.prefix_length > 0) message.Put(RTA_DST, route.destination.bytes.data(), route.destination.length);
  if (route.gateway && route.gateway->family == route.destination.family) {
    message.Put(RTA_GATEWAY, route.gateway->bytes.data(), route.gateway->length);
  } else if (route.gateway) {  // IPv4 by an IPv6 router, since 5.2
    struct {
      uint16_t family;
      uint8_t address[16];
    } via{static_cast<uint16_t>(AF_INET6), {}};
    std::copy(route.gateway->bytes.begin(), route.gateway->bytes.end(), via.address);
    message.Put(RTA_VIA, &via, sizeof via);
  }
  if (route.ifindex) message.Put32(RTA_OIF, *route.ifindex);
  if (route.metric) message.Put32(RTA_PRIORITY, *route.metric);
  if (route.mtu) {
    nlattr* metrics = message.Nest(RTA_METRICS);
    message.Put32(RTAX_MTU, *route.mtu);
    message.End(metrics);
  }
  socket.Request(message);
}

IpAddress AddressIn(const nlattr* attr, size_t skip = 0) {
  IpAddress ip;
  size_t length = mnl_attr_get_payload_len(attr) - skip;
  if (mnl_attr_get_payload_len(attr) < skip || (length != 4 && length != 16)) return ip;
  ip.family = length == 4 ? AF_INET : AF_INET6;
  ip.length = length;
  std::memcpy(ip.bytes.data(), static_cast<const char*>(mnl_attr_get_payload(attr)) + skip, length);
  return ip;
}

// The attributes that say where to: of a route, or of one hop of a route with several.
void ParseHop(const nlattr* attr, Route& route) {
  switch (mnl_attr_get_type(attr)) {
    case RTA_GATEWAY:
      route.gateway = AddressIn(attr);
      break;
    case RTA_VIA:
      route.gateway = AddressIn(attr, sizeof(uint16_t));
      break;
    case RTA_OIF:
      route.ifindex = mnl_attr_get_u32(attr);
      break;
  }
}

// Several next hops become several entries.
void ParseRoute(const nlmsghdr* nlh, std::vector<Route>& list) {
  if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(rtmsg)) return;
  auto* header = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(nlh));
  if (header->rtm_type != RTN_UNICAST || (header->rtm_flags & RTM_F_CLONED)) return;
  if (header->rtm_family != AF_INET && header->rtm_family != AF_INET6) return;
  Route route;
  route.destination.family = header->rtm_family;
  route.destination.length = header->rtm_family == AF_INET ? 4 : 16;
  route.prefix_length = header->rtm_dst_len;
  route.scope = header->rtm_scope;
  route.protocol = header->rtm_protocol;
  route.table = header->rtm_table;
  const nlattr* hops = nullptr;
  for (const nlattr* attr : Attributes(nlh, sizeof *header)) {
    switch (mnl_attr_get_type(attr)) {
      case RTA_DST:
        route.destination = AddressIn(attr);
        break;
      case RTA_TABLE:
        route.table = mnl_attr_get_u32(attr);
        break;
      case RTA_PRIORITY:
        route.metric = mnl_attr_get_u32(attr);
        break;
      case RTA_MULTIPATH:
        hops = attr;
        break;
      case RTA_METRICS: {
        for (const nlattr* metric : Attributes(attr)) {
          if (mnl_attr_get_type(metric) == RTAX_MTU) route.mtu = mnl_attr_get_u32(metric);
        }
        break;
      }
      default:
        ParseHop(attr, route);
    }
  }
  if (!hops) {
    list.push_back(std::move(route));
    return;
  }
  int left = static_cast<int>(mnl_attr_get_payload_len(hops));
  for (auto* hop = static_cast<const rtnexthop*>(mnl_attr_get_payload(hops)); RTNH_OK(hop, left);
       left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
    Route one = route;
    one.ifindex = static_cast<uint32_t>(hop->rtnh_ifindex);
    auto* data = reinterpret_cast<const char*>(hop) + RTNH_LENGTH(0);
    for (const nlattr* attr : Attributes(data, hop->rtnh_len - RTNH_LENGTH(0))) ParseHop(attr, one);
    list.push_back(std::move(one));
  }
}

Napi::Value RouteToJs(Napi::Env env, const Route& route) {
  Napi::Object o = Napi::Object::New(env);
  auto number = [&](const char* key, double v) { o.Set(key, Napi::Number::New(env, v)); };
  number("family", route.destination.family == AF_INET ? 4 : 6);
  o.Set("destination", Napi::String::New(env, FormatIp(route.destination.bytes.data(), route.destination.length)));
  number("prefixLength", route.prefix_length);
  if (route.gateway && route.gateway->length) {
    o.Set("gateway", Napi::String::New(env, FormatIp(route.gateway->bytes.data(), route.gateway->length)));
  }
  if (route.ifindex) number("ifindex", *route.ifindex);
  if (route.metric) number("metric", *route.metric);
  if (route.mtu) number("mtu", *route.mtu);
  if (route.scope) number("scope", *route.scope);
  if (route.table) number("table", *route.table);
  number("protocol", route.protocol);
  return o;
}

Napi::Value Routes(const Napi::CallbackInfo& info) {
  return ListOnSocket<Route>(
      info,
      [](NetlinkSocket& socket) {
        Message message(RTM_GETROUTE, 0, "routes");
        message.Header<rtmsg>();
        std::vector<Route> list;
        socket.Dump(message, [&](const nlmsghdr* nlh) { ParseRoute(nlh, list); });
        return list;
      },
      RouteToJs);
}

Napi::Value Add(const Napi::CallbackInfo& info) {
  Route route = RouteFromJs(info[1]);
  return OnSocket(info,
                  [route](NetlinkSocket& socket) { Send(socket, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route); });
}

Napi::Value Remove(const Napi::CallbackInfo& info) {
  Route route = RouteFromJs(info[1]);
  return OnSocket(info, [route](NetlinkSocket& socket) { Send(socket, RTM_DELROUTE, 0, route); });
}

}  // namespace

void InitRoutes(Napi::Env, Napi::Object exports) {
  Export<Routes>(exports, "routes");
  Export<Add>(exports, "addRoute");
  Export<Remove>(exports, "removeRoute");
}

}  // namespace pw
