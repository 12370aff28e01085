// SPDX-License-Identifier: Apache-2.0
// masquerade.h for JavaScript. The socket is opened by the first call and kept: closing one waits until the kernel has
// freed what was deleted lately, some 10 ms (nft_rcv_nl_event).
#include <linux/netlink.h>

#include "convert.h"
#include "masquerade.h"
#include "route_state.h"

namespace pw {

namespace {

IpPrefix PrefixFromJs(const Napi::Value& value, const char* what) {
  Napi::Object o = ToObject(value, what);
  const std::string address = NeedString(o, "address");
  IpPrefix prefix{ParseIp(address, what), 0};
  prefix.length = CheckPrefixLength(prefix.address, NeedU32(o, "prefixLength"), address);
  return prefix;
}

std::vector<IpPrefix> PrefixesFromJs(const Napi::Object& o, const char* key) {
  Napi::Value value = o.Get(key);
  if (!value.IsArray()) throw KernelError(EINVAL, "argument", key, "an array is needed");
  auto array = value.As<Napi::Array>();
  std::vector<IpPrefix> prefixes;
  prefixes.reserve(array.Length());
  for (uint32_t i = 0; i < array.Length(); i++) prefixes.push_back(PrefixFromJs(array.Get(i), key));
  return prefixes;
}

Masquerade FromJs(const Napi::Value& value) {
  Napi::Object o = ToObject(value, "masquerade");
  return {PrefixesFromJs(o, "sources"), PrefixesFromJs(o, "subnets")};
}

Napi::Value ToJs(Napi::Env env, const std::vector<IpPrefix>& prefixes) {
  Napi::Array array = Napi::Array::New(env, prefixes.size());
  for (uint32_t i = 0; i < prefixes.size(); i++) {
    const auto& [address, length] = prefixes[i];
    Napi::Object o = Napi::Object::New(env);
    o.Set("address", FormatIp(address.bytes.data(), address.length));
    o.Set("prefixLength", length);
    array[i] = o;
  }
  return array;
}

NetlinkSocket& Netfilter(NamespaceContext& context) {
  auto& socket = context.route->netfilter;
  if (!socket) socket = std::make_unique<NetlinkSocket>(&context.netlink_writes, NETLINK_NETFILTER);
  return *socket;
}

template <class Work>
Napi::Value OnNetfilter(const Napi::CallbackInfo& info, Work work) {
  auto context = ContextOf(info[0]);
  return context->executor->Run(info.Env(), [context, work = std::move(work)] { work(Netfilter(*context)); });
}

Napi::Value Read(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  return context->executor->Run<MasqueradeTable>(
      info.Env(), [context] { return ReadMasquerade(Netfilter(*context)); },
      [](Napi::Env env, MasqueradeTable& table) -> Napi::Value {
        if (!table.there) return env.Null();
        if (!table.whole) return Napi::String::New(env, "changed");
        Napi::Object o = Napi::Object::New(env);
        o.Set("sources", ToJs(env, table.whole->sources));
        o.Set("subnets", ToJs(env, table.whole->subnets));
        return o;
      });
}

Napi::Value HasSource(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  return context->executor->Run<bool>(
      info.Env(),
      [context, source = PrefixFromJs(info[1], "source")] { return HasMasqueradeSource(Netfilter(*context), source); },
      [](Napi::Env env, bool& has) -> Napi::Value { return Napi::Boolean::New(env, has); });
}

Napi::Value Replace(const Napi::CallbackInfo& info) {
  return OnNetfilter(info, [all = FromJs(info[1])](NetlinkSocket& netfilter) { ReplaceMasquerade(netfilter, all); });
}

Napi::Value Change(const Napi::CallbackInfo& info) {
  return OnNetfilter(info, [add = FromJs(info[1]), remove = FromJs(info[2])](NetlinkSocket& netfilter) {
    ChangeMasquerade(netfilter, add, remove);
  });
}

}  // namespace

void InitMasquerade(Napi::Env, Napi::Object exports) {
  Export<Read>(exports, "masquerade");
  Export<HasSource>(exports, "hasMasqueradeSource");
  Export<Replace>(exports, "replaceMasquerade");
  Export<Change>(exports, "changeMasquerade");
}

}  // namespace pw
