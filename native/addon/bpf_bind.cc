// SPDX-License-Identifier: Apache-2.0
// Objects, pins, links and test runs for JavaScript. daemon/kernel/native-bpf.ts is the typed side of these functions.
#include <variant>

#include "bpf.h"
#include "bpf_js.h"
#include "bpf_log.h"

namespace pw::bpf {

namespace {

constexpr napi_type_tag kObjectTag = {0x6c1f9ad2405e4b37, 0x8e25d7c3f1906ba4};

struct Handle {
  std::shared_ptr<NamespaceContext> context;
  ObjectRef object;

  // Marks it closed at once; the descriptor itself follows on the namespace's thread, after the work that uses it.
  void Close() {
    ObjectRef gone = std::exchange(object, nullptr);
    if (gone && !context->executor->Submit([gone] { gone->Close(); })) gone->Close();
  }
  ~Handle() { Close(); }
};

Napi::Value Load(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  LoadOptions options;
  options.file = StringOf(info[1]);
  auto given = info[2].As<Napi::Object>();
  if (given.Has("mapPinDir")) options.map_pin_dir = StringOf(given.Get("mapPinDir"));
  auto each = [&](const char* name, auto&& take) {
    if (!given.Has(name)) return;
    auto object = given.Get(name).As<Napi::Object>();
    Napi::Array keys = object.GetPropertyNames();
    for (uint32_t i = 0; i < keys.Length(); i++) take(StringOf(keys.Get(i)), object.Get(keys.Get(i)));
  };
  each("constants", [&](std::string name, Napi::Value value) {
    options.constants.emplace_back(std::move(name), value.ToNumber().DoubleValue());
  });
  each("maxEntries", [&](std::string name, Napi::Value value) {
    options.max_entries.emplace_back(std::move(name), Uint32Of(value));
  });

  using Result = std::variant<Loaded, LoadError>;
  return OnThread<Result>(
      info.Env(), context,
      [options](NamespaceContext& c) -> Result {
        try {
          Loaded loaded = bpf::Load(options);
          c.bpf_writes += loaded.writes;
          return loaded;
        } catch (const LoadError& e) {
          return e;
        }
      },
      [context](Napi::Env env, Result& result) -> Napi::Value {
        if (auto* error = std::get_if<LoadError>(&result)) {
          Napi::Object value = Executor::ToJs(env, *error).As<Napi::Object>();
          value.Set("log", error->log);
          throw Napi::Error(env, value);
        }
        auto list = [&](const std::vector<ObjectRef>& objects) {
          Napi::Array array = Napi::Array::New(env, objects.size());
          for (size_t i = 0; i < objects.size(); i++) {
            array.Set(static_cast<uint32_t>(i), ToHandle(env, context, objects[i]));
          }
          return array;
        };
        auto& loaded = std::get<Loaded>(result);
        Napi::Object out = Napi::Object::New(env);
        out.Set("maps", list(loaded.maps));
        out.Set("programs", list(loaded.programs));
        return out;
      });
}

template <Kind kKind>
Napi::Value OpenPin(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  return OnThread<ObjectRef>(
      info.Env(), context, [path = StringOf(info[1])](NamespaceContext&) { return Open(kKind, path); },
      [context](Napi::Env env, ObjectRef& object) { return ToHandle(env, context, object); });
}

Napi::Value PinObject(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  return OnThread(info.Env(), context,
                  [object = FromHandle(info[1], *context), path = StringOf(info[2])](NamespaceContext& c) {
                    Pin(*object, path);
                    c.bpf_writes++;
                  });
}

Napi::Value UnpinPath(const Napi::CallbackInfo& info) {
  return OnThread(info.Env(), ContextOf(info[0]), [path = StringOf(info[1])](NamespaceContext& c) {
    Unpin(path);
    c.bpf_writes++;
  });
}

Napi::Value Attach(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  return OnThread<ObjectRef>(
      info.Env(), context,
      [program = FromHandle(info[1], Kind::kProgram, *context), ifindex = Uint32Of(info[2])](NamespaceContext& c) {
        ObjectRef link = AttachTcx(*program, ifindex);
        c.bpf_writes++;
        return link;
      },
      [context](Napi::Env env, ObjectRef& link) { return ToHandle(env, context, link); });
}

Napi::Value Query(const Napi::CallbackInfo& info) {
  using Programs = std::vector<TcxProgram>;
  return OnThread<Programs>(
      info.Env(), ContextOf(info[0]), [ifindex = Uint32Of(info[1])](NamespaceContext&) { return QueryTcx(ifindex); },
      [](Napi::Env env, Programs& programs) {
        Napi::Array array = Napi::Array::New(env, programs.size());
        for (size_t i = 0; i < programs.size(); i++) {
          Napi::Object item = Napi::Object::New(env);
          item.Set("programId", programs[i].program_id);
          item.Set("linkId", programs[i].link_id);
          array.Set(static_cast<uint32_t>(i), item);
        }
        return array;
      });
}

Napi::Value Hooks(const Napi::CallbackInfo& info) {
  using Names = std::vector<std::string>;
  return OnThread<Names>(
      info.Env(), ContextOf(info[0]), [ifindex = Uint32Of(info[1])](NamespaceContext&) { return UsedHooks(ifindex); },
      [](Napi::Env env, Names& names) {
        Napi::Array out = Napi::Array::New(env, names.size());
        for (size_t i = 0; i < names.size(); i++) out.Set(static_cast<uint32_t>(i), names[i]);
        return out;
      });
}

Napi::Value Without(const Napi::CallbackInfo& info) {
  using Links = std::vector<uint32_t>;
  auto context = ContextOf(info[0]);
  HookKind hook = StringOf(info[1]) == "tcx" ? HookKind::kTcx : HookKind::kClsact;
  auto array = info[3].As<Napi::Uint32Array>();
  return OnThread<Links>(
      info.Env(), context,
      [hook, program = FromHandle(info[2], Kind::kProgram, *context),
       links = Links(array.Data(), array.Data() + array.ElementLength())](NamespaceContext&) {
        return LinksWithout(hook, program->info().id, links);
      },
      [](Napi::Env env, Links& links) {
        Napi::Array out = Napi::Array::New(env, links.size());
        for (size_t i = 0; i < links.size(); i++) out.Set(static_cast<uint32_t>(i), links[i]);
        return out;
      });
}

Napi::Value Replace(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  return OnThread(info.Env(), context,
                  [link = FromHandle(info[1], Kind::kLink, *context),
                   program = FromHandle(info[2], Kind::kProgram, *context)](NamespaceContext& c) {
                    UpdateLink(*link, *program);
                    c.bpf_writes++;
                  });
}

Napi::Value Detach(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  return OnThread(info.Env(), context, [link = FromHandle(info[1], Kind::kLink, *context)](NamespaceContext& c) {
    DetachLink(*link);
    c.bpf_writes++;
  });
}

Napi::Value Clsact(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  return OnThread(
      info.Env(), context,
      [program = FromHandle(info[1], Kind::kProgram, *context), ifindex = Uint32Of(info[2])](NamespaceContext& c) {
        AttachClsact(*program, ifindex);
        c.bpf_writes++;
      });
}

Napi::Value NoClsact(const Napi::CallbackInfo& info) {
  return OnThread(info.Env(), ContextOf(info[0]),
                  [ifindex = Uint32Of(info[1]), keep_qdisc = info[2].ToBoolean().Value()](NamespaceContext& c) {
                    DetachClsact(ifindex, keep_qdisc);
                    c.bpf_writes++;
                  });
}

Napi::Value ClsactProgram(const Napi::CallbackInfo& info) {
  return OnThread<uint32_t>(
      info.Env(), ContextOf(info[0]), [ifindex = Uint32Of(info[1])](NamespaceContext&) { return QueryClsact(ifindex); },
      [](Napi::Env env, uint32_t& id) { return Napi::Number::New(env, id); });
}

Napi::Value Test(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  TestRun run;
  if (!info[2].IsUndefined()) run.data = BytesOf(info[2]);
  if (!info[3].IsUndefined()) run.context = BytesOf(info[3]);
  run.repeat = Uint32Of(info[4]);
  return OnThread<TestRunResult>(
      info.Env(), context,
      [program = FromHandle(info[1], Kind::kProgram, *context), run](NamespaceContext&) {
        return RunTest(*program, run);
      },
      [](Napi::Env env, TestRunResult& result) {
        Napi::Object out = Napi::Object::New(env);
        out.Set("returnValue", result.return_value);
        out.Set("data", ToUint8Array(env, result.data));
        out.Set("context", ToUint8Array(env, result.context));
        out.Set("durationNs", result.duration_ns);
        return out;
      });
}

Napi::Value CloseHandle(const Napi::CallbackInfo& info) {
  UnwrapHandle<Handle>(info[0], kObjectTag, "a BPF object").Close();
  return info.Env().Undefined();
}

}  // namespace

Napi::Object ToHandle(Napi::Env env, const std::shared_ptr<NamespaceContext>& context, const ObjectRef& object) {
  Napi::Object out = WrapHandle(env, kObjectTag, std::unique_ptr<Handle>(new Handle{context, object}));
  const Info& info = object->info();
  out.Set("name", info.name);
  out.Set("id", info.id);
  out.Set("type", info.type);
  switch (object->kind()) {
    case Kind::kMap:
      out.Set("keySize", info.key_size);
      out.Set("valueSize", info.value_size);
      out.Set("maxEntries", info.max_entries);
      break;
    case Kind::kProgram:
      out.Set("tag", info.tag);
      break;
    case Kind::kLink:
      out.Set("programId", info.program_id);
      out.Set("ifindex", info.ifindex);
      break;
  }
  return out;
}

ObjectRef FromHandle(const Napi::Value& value, const NamespaceContext& context) {
  auto& handle = UnwrapHandle<Handle>(value, kObjectTag, "a BPF object");
  if (!handle.object) {
    throw KernelError(EBADF, "bpf", value.As<Napi::Object>().Get("name").ToString().Utf8Value(), "it is closed");
  }
  if (handle.context.get() != &context) {
    throw KernelError(EINVAL, "bpf", handle.object->info().name, "it was opened by another namespace's thread");
  }
  return handle.object;
}

ObjectRef FromHandle(const Napi::Value& value, Kind kind, const NamespaceContext& context) {
  ObjectRef object = FromHandle(value, context);
  if (object->kind() != kind) throw KernelError(EINVAL, "bpf", object->info().name, "an object of another kind");
  return object;
}

void CloseAtEnd(Executor& executor) {
  thread_local bool registered = false;
  if (std::exchange(registered, true)) return;
  executor.AtEnd(CloseAllOfThisThread);
}

void InitBpfObjects(Napi::Object exports) {
  Export<Load>(exports, "bpfLoad");
  Export<OpenPin<Kind::kMap>>(exports, "bpfOpenMap");
  Export<OpenPin<Kind::kProgram>>(exports, "bpfOpenProgram");
  Export<OpenPin<Kind::kLink>>(exports, "bpfOpenLink");
  Export<PinObject>(exports, "bpfPin");
  Export<UnpinPath>(exports, "bpfUnpin");
  Export<Attach>(exports, "bpfAttachTcx");
  Export<Query>(exports, "bpfQueryTcx");
  Export<Hooks>(exports, "bpfUsedHooks");
  Export<Without>(exports, "bpfLinksWithout");
  Export<Replace>(exports, "bpfUpdateLink");
  Export<Detach>(exports, "bpfDetachLink");
  Export<Clsact>(exports, "bpfAttachClsact");
  Export<NoClsact>(exports, "bpfDetachClsact");
  Export<ClsactProgram>(exports, "bpfQueryClsact");
  Export<Test>(exports, "bpfTestRun");
  Export<CloseHandle>(exports, "bpfClose");
}

}  // namespace pw::bpf

namespace pw {

void InitBpf(Napi::Env, Napi::Object exports) {
  bpf::InstallLog();
  bpf::InitBpfObjects(exports);
  bpf::InitBpfMaps(exports);
}

}  // namespace pw
