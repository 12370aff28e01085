// SPDX-License-Identifier: Apache-2.0
#include "link_js.h"

#include <linux/if.h>

#include "netns.h"
#include "route_state.h"

namespace pw {

namespace {

constexpr size_t kAliasMax = 255;  // IFALIASZ - 1, uapi/linux/if.h

Napi::Value Count(Napi::Env env, uint64_t count) {
  return Napi::Number::New(env, static_cast<double>(count));
}

// null: none
Napi::Value NamesToJs(Napi::Env env, const std::vector<std::string>& names) {
  if (names.empty()) return env.Null();
  Napi::Array array = Napi::Array::New(env, names.size());
  for (uint32_t i = 0; i < names.size(); i++) array[i] = Napi::String::New(env, names[i]);
  return array;
}

// null: none
Napi::Value DataToJs(Napi::Env env, const LinkData& data) {
  if (data.empty()) return env.Null();
  Napi::Object result = Napi::Object::New(env);
  for (const auto& [name, value] : data) {
    if (auto* flag = std::get_if<bool>(&value)) result.Set(name, Napi::Boolean::New(env, *flag));
    if (auto* number = std::get_if<double>(&value)) result.Set(name, Napi::Number::New(env, *number));
    if (auto* text = std::get_if<std::string>(&value)) result.Set(name, Napi::String::New(env, *text));
  }
  return result;
}

LinkData DataFromJs(const Napi::Object& object) {
  LinkData data;
  Napi::Array names = object.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); i++) {
    std::string name = names.Get(i).ToString();
    Napi::Value value = object.Get(name);
    if (value.IsUndefined()) continue;
    if (value.IsBoolean()) {
      data.emplace_back(name, value.As<Napi::Boolean>().Value());
    } else if (value.IsNumber()) {
      data.emplace_back(name, value.As<Napi::Number>().DoubleValue());
    } else {
      data.emplace_back(name, ToText(value, name.c_str()));
    }
  }
  return data;
}

std::shared_ptr<Fd> OptNetns(const Napi::Object& o) {
  Napi::Value value = o.Get("netns");
  if (value.IsUndefined()) return nullptr;
  return std::make_shared<Fd>(DupNetns(value));
}

std::optional<Mac> OptMac(const Napi::Object& o) {
  std::optional<std::string> text = OptString(o, "mac");
  if (!text) return std::nullopt;
  return ParseMac(*text, "mac");
}

LinkSettings SettingsFromJs(const Napi::Object& o) {
  LinkSettings s;
  s.up = OptBool(o, "up");
  s.promiscuous = OptBool(o, "promiscuous");
  s.no_arp = OptBool(o, "noArp");
  s.no_ipv6_link_local = OptBool(o, "noIpv6LinkLocal");
  s.name = OptString(o, "name");
  if (s.name) CheckLinkName(*s.name);
  s.alias = OptString(o, "alias");
  if (s.alias && s.alias->size() > kAliasMax)
    throw KernelError(EINVAL, "argument", "alias", "an alias has at most 255 bytes");
  s.mtu = OptU32(o, "mtu");
  s.mac = OptMac(o);
  s.tx_queue_length = OptU32(o, "txQueueLength");
  s.master = OptU32(o, "master", INT32_MAX);
  if (auto data = OptObject(o, "data")) s.data = DataFromJs(*data);
  if (auto data = OptObject(o, "memberData")) s.member_data = DataFromJs(*data);
  s.netns = OptNetns(o);
  return s;
}

// null, as absent: nobody
std::optional<uint32_t> OptId(const Napi::Object& o, const char* key) {
  if (o.Get(key).IsNull()) return std::nullopt;
  return OptU32(o, key, UINT32_MAX - 1);
}

TapSettings TapFromJs(const Napi::Object& o, const LinkCreate& create) {
  if (create.kind != "tun" || create.link || create.peer || create.settings.netns)
    throw KernelError(EINVAL, "argument", "tap", "only a tun, made where it stays");
  return {OptBool(o, "multiQueue").value_or(false), OptId(o, "owner"), OptId(o, "group")};
}

LinkCreate CreateFromJs(const Napi::Object& o) {
  LinkCreate create;
  create.settings = SettingsFromJs(o);
  if (!create.settings.name) CheckLinkName("");
  create.kind = NeedString(o, "kind");
  create.link = OptU32(o, "link", INT32_MAX);
  if (auto peer = OptObject(o, "peer")) {
    if (create.kind != "veth") throw KernelError(EINVAL, "argument", "peer", "only a veth has a peer");
    create.peer = PeerSettings{NeedString(*peer, "name"), OptMac(*peer), OptU32(*peer, "mtu"), OptNetns(*peer)};
    CheckLinkName(create.peer->name);
  }
  if (auto tap = OptObject(o, "tap")) create.tap = TapFromJs(*tap, create);
  return create;
}

LinkRef RefFromJs(const Napi::Object& o) {
  LinkRef ref;
  if (auto ifindex = OptU32(o, "ifindex", INT32_MAX)) {
    if (*ifindex == 0) throw KernelError(EINVAL, "argument", "ifindex", "an interface index is at least 1");
    ref.ifindex = *ifindex;
  } else {
    ref.name = CheckLinkName(NeedString(o, "name"));
  }
  return ref;
}

// links(ns, netnsId?)
Napi::Value Links(const Napi::CallbackInfo& info) {
  std::optional<int32_t> netnsid;
  if (!info[1].IsUndefined()) netnsid = static_cast<int32_t>(ToU32(info[1], "netnsId", INT32_MAX));
  return ListOnSocket<Link>(info, [netnsid](NetlinkSocket& socket) { return DumpLinks(socket, netnsid); }, LinkToJs);
}

// link(ns, ref)
Napi::Value GetOne(const Napi::CallbackInfo& info) {
  LinkRef ref = PeerRefFromJs(info[1]);
  return OnSocket<std::optional<Link>>(
      info, [ref](NetlinkSocket& socket) { return GetLink(socket, ref); },
      [](Napi::Env env, std::optional<Link>& link) { return link ? LinkToJs(env, *link) : env.Null(); });
}

// createLink(ns, spec)
Napi::Value Create(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  LinkCreate create = CreateFromJs(ToObject(info[1], "link"));
  return context->executor->Run<Created>(
      info.Env(),
      [context, create = std::move(create)] {
        return CreateLink(*context->route->socket, &context->netlink_writes, create);
      },
      [](Napi::Env env, Created& created) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("ifindex", Napi::Number::New(env, created.ifindex));
        result.Set("peerIfindex", Napi::Number::New(env, created.peer_ifindex));
        result.Set("mac", Napi::String::New(env, created.mac));
        return result;
      });
}

// Of a link that shall be changed.
LinkRef ChangeableFromJs(const Napi::Value& value) {
  Napi::Object o = ToObject(value, "link");
  if (OptU32(o, "netnsId"))
    throw KernelError(EINVAL, "argument", "netnsId", "in another namespace a link is only read, or deleted");
  return RefFromJs(o);
}

// changeLink(ns, ref, settings)
Napi::Value Change(const Napi::CallbackInfo& info) {
  LinkRef ref = ChangeableFromJs(info[1]);
  LinkSettings settings = SettingsFromJs(ToObject(info[2], "settings"));
  return OnSocket(info,
                  [ref, settings = std::move(settings)](NetlinkSocket& socket) { ChangeLink(socket, ref, settings); });
}

// changeLinkIn(ns, netns, ref, settings)
Napi::Value ChangeIn(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  auto netns = std::make_shared<Fd>(DupNetns(info[1]));
  LinkRef ref = ChangeableFromJs(info[2]);
  LinkSettings settings = SettingsFromJs(ToObject(info[3], "settings"));
  return context->executor->Run(info.Env(), [context, netns, ref, settings = std::move(settings)] {
    // A socket belongs to the namespace in which its thread was when it was opened (rtnetlink: sock_net).
    std::unique_ptr<NetlinkSocket> there;
    {
      NetnsVisit visit(netns->get(), context->netns.get());
      there = std::make_unique<NetlinkSocket>(&context->netlink_writes);
    }
    ChangeLink(*there, ref, settings);
  });
}

}  // namespace

LinkRef PeerRefFromJs(const Napi::Value& value) {
  Napi::Object o = ToObject(value, "link");
  LinkRef ref = RefFromJs(o);
  if (auto netnsid = OptU32(o, "netnsId", INT32_MAX)) ref.netnsid = static_cast<int32_t>(*netnsid);
  return ref;
}

// A row of daemon/kernel/native-link.ts. Objects of that many properties cost more: N-API looks each
// name up in V8's table of strings, and each adds a step to the object's shape.
Napi::Value LinkToJs(Napi::Env env, const Link& link) {
  const LinkStats& stats = link.stats;
  const Napi::Value row[] = {
      Napi::Number::New(env, link.ifindex),
      Napi::String::New(env, link.name),
      NamesToJs(env, link.alt_names),
      Napi::String::New(env, link.alias),
      Napi::String::New(env, link.kind),
      Napi::Number::New(env, link.flags),
      Napi::Boolean::New(env, link.carrier),
      Napi::Number::New(env, link.oper_state),
      Napi::Number::New(env, link.mtu),
      Napi::Number::New(env, link.min_mtu),
      Napi::Number::New(env, link.max_mtu),
      Napi::Number::New(env, link.tx_queue_length),
      Napi::String::New(env, link.mac),
      Napi::String::New(env, link.permanent_mac),
      Napi::Number::New(env, link.master),
      Napi::String::New(env, link.master_kind),
      Napi::Number::New(env, link.link),
      Napi::Number::New(env, link.link_netnsid),
      Napi::Number::New(env, link.promiscuity),
      Napi::Number::New(env, link.carrier_changes),
      Napi::String::New(env, link.parent_bus),
      Napi::String::New(env, link.parent_device),
      Napi::String::New(env, link.pci_path),
      DataToJs(env, link.data),
      DataToJs(env, link.member_data),
      Count(env, stats.rx_packets),
      Count(env, stats.rx_bytes),
      Count(env, stats.rx_errors),
      Count(env, stats.rx_dropped),
      Count(env, stats.tx_packets),
      Count(env, stats.tx_bytes),
      Count(env, stats.tx_errors),
      Count(env, stats.tx_dropped),
  };
  Napi::Array array = Napi::Array::New(env, std::size(row));
  for (uint32_t i = 0; i < std::size(row); i++) array[i] = row[i];
  return array;
}

void InitLinks(Napi::Env, Napi::Object exports) {
  Export<Links>(exports, "links");
  Export<GetOne>(exports, "link");
  Export<Create>(exports, "createLink");
  Export<Change>(exports, "changeLink");
  Export<ChangeIn>(exports, "changeLinkIn");
}

}  // namespace pw
