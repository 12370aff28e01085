// SPDX-License-Identifier: Apache-2.0
// masquerade.h for JavaScript. The socket is opened by the first call and kept: closing one waits until the kernel has
// freed what was deleted lately, some 10 ms (nft_rcv_nl_event).
#include <linux/netlink.h>

#include "convert.h"
#include "masquerade.h"
#include "route_state.h"

namespace pw {

namespace {

using Ranges = std::vector<MasqueradeRange>;

Ranges RangesFromJs(const Napi::Value& value) {
  if (!value.IsArray()) throw KernelError(EINVAL, "argument", "ranges", "an array is needed");
  auto array = value.As<Napi::Array>();
  Ranges ranges;
  ranges.reserve(array.Length());
  for (uint32_t i = 0; i < array.Length(); i++) {
    Napi::Object o = ToObject(array.Get(i), "range");
    MasqueradeRange range{ParseIp(NeedString(o, "source"), "source"), ParseIp(NeedString(o, "first"), "first"),
                          ParseIp(NeedString(o, "last"), "last")};
    if (range.source.family != range.first.family || range.source.family != range.last.family) {
      throw KernelError(EINVAL, "argument", NeedString(o, "source"), "its range is of the other family");
    }
    ranges.push_back(range);
  }
  return ranges;
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
  return context->executor->Run<std::optional<Ranges>>(
      info.Env(), [context] { return ReadMasquerade(Netfilter(*context)); },
      [](Napi::Env env, std::optional<Ranges>& ranges) -> Napi::Value {
        if (!ranges) return env.Null();
        Napi::Array array = Napi::Array::New(env, ranges->size());
        uint32_t at = 0;
        for (const MasqueradeRange& range : *ranges) {
          Napi::Object o = Napi::Object::New(env);
          o.Set("source", FormatIp(range.source.bytes.data(), range.source.length));
          o.Set("first", FormatIp(range.first.bytes.data(), range.first.length));
          o.Set("last", FormatIp(range.last.bytes.data(), range.last.length));
          array[at++] = o;
        }
        return array;
      });
}

Napi::Value Replace(const Napi::CallbackInfo& info) {
  return OnNetfilter(
      info, [ranges = RangesFromJs(info[1])](NetlinkSocket& netfilter) { ReplaceMasquerade(netfilter, ranges); });
}

Napi::Value Change(const Napi::CallbackInfo& info) {
  return OnNetfilter(info, [add = RangesFromJs(info[1]), remove = RangesFromJs(info[2])](NetlinkSocket& netfilter) {
    ChangeMasquerade(netfilter, add, remove);
  });
}

}  // namespace

void InitMasquerade(Napi::Env, Napi::Object exports) {
  Export<Read>(exports, "masquerade");
  Export<Replace>(exports, "replaceMasquerade");
  Export<Change>(exports, "changeMasquerade");
}

}  // namespace pw
