// SPDX-License-Identifier: Apache-2.0
// Cold, synchronous calls on the JavaScript thread. daemon/kernel/native-host.ts is the typed side.
#include "host.h"

#include <bpf/libbpf.h>

#include "js.h"
#include "js_handle.h"

namespace pw {

namespace {

Napi::Value IsBpffs(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), host::IsBpffs(StringOf(info[0])));
}

Napi::Value MountBpffs(const Napi::CallbackInfo& info) {
  host::MountBpffs(StringOf(info[0]));
  return info.Env().Undefined();
}

Napi::Value UnmountBpffs(const Napi::CallbackInfo& info) {
  host::UnmountBpffs(StringOf(info[0]));
  return info.Env().Undefined();
}

Napi::Value LockDirectory(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), host::LockDirectory(StringOf(info[0])));
}

Napi::Value PeerCredentials(const Napi::CallbackInfo& info) {
  auto peer = host::PeerCredentials(static_cast<int>(Uint32Of(info[0])));
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("pid", peer.pid);
  out.Set("uid", peer.uid);
  out.Set("gid", peer.gid);
  return out;
}

Napi::Value Notify(const Napi::CallbackInfo& info) {
  host::Notify(StringOf(info[0]), StringOf(info[1]));
  return info.Env().Undefined();
}

Napi::Value PossibleCpus(const Napi::CallbackInfo& info) {
  int n = libbpf_num_possible_cpus();
  if (n < 0) throw KernelError(n, "read", "/sys/devices/system/cpu/possible");
  return Napi::Number::New(info.Env(), n);
}

Napi::Value Abi(const Napi::CallbackInfo& info) {
  Napi::Object out = Napi::Object::New(info.Env());
  host::EachAbiValue([&](const char* name, uint64_t value) { out.Set(name, static_cast<double>(value)); });
  return out;
}

}  // namespace

void InitHost(Napi::Env, Napi::Object exports) {
  Export<IsBpffs>(exports, "isBpffs");
  Export<MountBpffs>(exports, "mountBpffs");
  Export<UnmountBpffs>(exports, "unmountBpffs");
  Export<LockDirectory>(exports, "lockDirectory");
  Export<PeerCredentials>(exports, "peerCredentials");
  Export<Notify>(exports, "notify");
  Export<PossibleCpus>(exports, "possibleCpus");
  Export<Abi>(exports, "abi");
}

}  // namespace pw
