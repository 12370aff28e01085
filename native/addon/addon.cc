// SPDX-License-Identifier: Apache-2.0
// The addon's table of contents. Every function takes the namespace object as its first argument, except those that
// concern no namespace.
#include <napi.h>

#include "bpf.h"
#include "host.h"
#include "namespace.h"
#include "netns.h"
#include "packet.h"
#include "program.h"
#include "route_state.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  pw::InitBpf(env, exports);
  pw::InitHost(env, exports);
  pw::InitAccept(env, exports);
  pw::InitNetns(env, exports);
  pw::InitNetnsMake(env, exports);
  pw::InitNamespace(env, exports);
  pw::InitLinks(env, exports);
  pw::InitLinkDelete(env, exports);
  pw::InitAddresses(env, exports);
  pw::InitRoutes(env, exports);
  pw::InitNeighbours(env, exports);
  pw::InitBridgeVlans(env, exports);
  pw::InitBridgeStats(env, exports);
  pw::InitEvents(env, exports);
  pw::InitMasquerade(env, exports);
  pw::InitSysctl(env, exports);
  pw::InitPacket(env, exports);
  pw::InitPrograms(env, exports);
  pw::InitReceive(env, exports);
  pw::InitTransmit(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(portwright, Init)
