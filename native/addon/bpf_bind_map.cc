// SPDX-License-Identifier: Apache-2.0
// Maps and ring buffers for JavaScript. daemon/kernel/native-bpf.ts is the typed side of these functions.
#include <linux/bpf.h>

#include "bpf_js.h"
#include "bpf_ring.h"

namespace pw::bpf {

namespace {

constexpr napi_type_tag kRingTag = {0x17b3e8c90a5d42f6, 0xb6049f2ce8d1375a};
using Ring = std::shared_ptr<RingReader>;

// Records that wait for JavaScript before new ones are dropped.
constexpr size_t kRingQueue = 65536;

struct MapCall {
  std::shared_ptr<NamespaceContext> context;
  ObjectRef map;
  explicit MapCall(const Napi::CallbackInfo& info)
      : context(ContextOf(info[0])), map(FromHandle(info[1], Kind::kMap, *context)) {}
};

Napi::Value LookupOne(const Napi::CallbackInfo& info) {
  MapCall call(info);
  using Result = std::optional<Bytes>;
  return OnThread<Result>(
      info.Env(), call.context,
      [map = call.map, key = BytesOf(info[2])](NamespaceContext&) { return Lookup(*map, key); },
      [](Napi::Env env, Result& value) -> Napi::Value { return value ? ToUint8Array(env, *value) : env.Null(); });
}

Napi::Value UpdateOne(const Napi::CallbackInfo& info) {
  MapCall call(info);
  return OnThread(info.Env(), call.context,
                  [map = call.map, key = BytesOf(info[2]), value = BytesOf(info[3]),
                   flags = Uint32Of(info[4])](NamespaceContext& c) {
                    Update(*map, key, value, flags);
                    c.bpf_writes++;
                  });
}

// bpfUpdateEach(ns, maps, keys, values): one entry in each of several maps, in this order; ends at the first failure
Napi::Value UpdateEach(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  struct Write {
    ObjectRef map;
    Bytes key, value;
  };
  auto maps = info[1].As<Napi::Array>(), keys = info[2].As<Napi::Array>(), values = info[3].As<Napi::Array>();
  std::vector<Write> writes;
  for (uint32_t i = 0; i < maps.Length(); i++)
    writes.push_back({FromHandle(maps[i], Kind::kMap, *context), BytesOf(keys[i]), BytesOf(values[i])});
  return OnThread(info.Env(), context, [writes = std::move(writes)](NamespaceContext& c) {
    for (const Write& write : writes) {
      Update(*write.map, write.key, write.value, BPF_ANY);
      c.bpf_writes++;
    }
  });
}

Napi::Value RemoveOne(const Napi::CallbackInfo& info) {
  MapCall call(info);
  return OnThread<bool>(
      info.Env(), call.context,
      [map = call.map, key = BytesOf(info[2])](NamespaceContext& c) {
        bool removed = Remove(*map, key);
        c.bpf_writes += removed;
        return removed;
      },
      [](Napi::Env env, bool& removed) { return Napi::Boolean::New(env, removed); });
}

Napi::Value ReadWhole(const Napi::CallbackInfo& info) {
  MapCall call(info);
  return OnThread<Entries>(
      info.Env(), call.context, [map = call.map](NamespaceContext&) { return ReadAll(*map); },
      [](Napi::Env env, Entries& entries) {
        Napi::Object out = Napi::Object::New(env);
        out.Set("count", static_cast<double>(entries.count));
        out.Set("keys", ToUint8Array(env, entries.keys));
        out.Set("values", ToUint8Array(env, entries.values));
        return out;
      });
}

Napi::Value LookupSome(const Napi::CallbackInfo& info) {
  MapCall call(info);
  return OnThread<Found>(
      info.Env(), call.context,
      [map = call.map, keys = BytesOf(info[2])](NamespaceContext&) { return LookupMany(*map, keys); },
      [size = call.map->value_bytes()](Napi::Env env, Found& found) {
        Napi::Array out = Napi::Array::New(env, found.present.size());
        for (size_t i = 0; i < found.present.size(); i++) {
          Napi::HandleScope scope(env);
          Napi::Value value = env.Null();
          if (found.present[i]) value = ToUint8Array(env, found.values.data() + i * size, size);
          out.Set(static_cast<uint32_t>(i), value);
        }
        return out;
      });
}

Napi::Value UpdateSome(const Napi::CallbackInfo& info) {
  MapCall call(info);
  return OnThread(info.Env(), call.context,
                  [map = call.map, keys = BytesOf(info[2]), values = BytesOf(info[3]), flags = Uint32Of(info[4])](
                      NamespaceContext& c) { c.bpf_writes += UpdateMany(*map, keys, values, flags); });
}

Napi::Value RemoveSome(const Napi::CallbackInfo& info) {
  MapCall call(info);
  return OnThread<size_t>(
      info.Env(), call.context,
      [map = call.map, keys = BytesOf(info[2])](NamespaceContext& c) {
        size_t removed = RemoveMany(*map, keys);
        c.bpf_writes += removed;
        return removed;
      },
      [](Napi::Env env, size_t& removed) { return Napi::Number::New(env, static_cast<double>(removed)); });
}

// bpfReadRing(ns, map, callback): Promise<reader>
Napi::Value ReadRing(const Napi::CallbackInfo& info) {
  MapCall call(info);
  auto listener = std::make_shared<RingReader::Listener>(
      info[2].As<Napi::Function>(), kRingQueue,
      [](Napi::Env env, const Bytes& record) -> Napi::Value { return ToUint8Array(env, record); });
  auto reader = std::make_shared<RingReader>(call.map, listener);
  return call.context->executor->Run<bool>(
      info.Env(),
      [context = call.context, reader] {
        CloseAtEnd(*context->executor);
        reader->Start(*context->executor);
        return true;
      },
      [reader](Napi::Env env, bool&) { return WrapHandle(env, kRingTag, std::make_unique<Ring>(reader)); },
      [listener](Napi::Env) { listener->Forget(); });
}

// bpfCloseRing(ns, reader): no call after this one; resolves when the buffer is unmapped
Napi::Value CloseRing(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  Ring reader = UnwrapHandle<Ring>(info[1], kRingTag, "a ring buffer's reader");
  reader->listener().Forget();
  return OnThread(info.Env(), context, [reader](NamespaceContext& c) { reader->Stop(*c.executor); });
}

Napi::Value RingDropped(const Napi::CallbackInfo& info) {
  Ring reader = UnwrapHandle<Ring>(info[0], kRingTag, "a ring buffer's reader");
  return Napi::Number::New(info.Env(), static_cast<double>(reader->listener().dropped()));
}

}  // namespace

void InitBpfMaps(Napi::Object exports) {
  Export<LookupOne>(exports, "bpfLookup");
  Export<UpdateOne>(exports, "bpfUpdate");
  Export<UpdateEach>(exports, "bpfUpdateEach");
  Export<RemoveOne>(exports, "bpfRemove");
  Export<ReadWhole>(exports, "bpfReadAll");
  Export<LookupSome>(exports, "bpfLookupMany");
  Export<UpdateSome>(exports, "bpfUpdateMany");
  Export<RemoveSome>(exports, "bpfRemoveMany");
  Export<ReadRing>(exports, "bpfReadRing");
  Export<CloseRing>(exports, "bpfCloseRing");
  Export<RingDropped>(exports, "bpfRingDropped");
}

}  // namespace pw::bpf
