// SPDX-License-Identifier: Apache-2.0
// Packet sockets for JavaScript. daemon/kernel/native-packet.ts is the typed side of these functions.
#include "packet.h"

#include "js_handle.h"
#include "namespace.h"
#include "packet_socket.h"

namespace pw {

namespace {

constexpr napi_type_tag kPacketTag = {0x40d8a1f6b35c29e7, 0xc72e914f08ad6b53};
using Socket = std::shared_ptr<PacketSocket>;

Socket SocketOf(const Napi::Value& value) {
  return UnwrapHandle<Socket>(value, kPacketTag, "a packet socket");
}

Napi::Value FrameToJs(Napi::Env env, const Frame& frame) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("data", ToUint8Array(env, frame.data));
  if (frame.tagged) {
    Napi::Object vlan = Napi::Object::New(env);
    vlan.Set("tpid", frame.tpid);
    vlan.Set("tci", frame.tci);
    out.Set("vlan", vlan);
  }
  out.Set("packetType", frame.packet_type);
  out.Set("timestampNs", Napi::BigInt::New(env, frame.timestamp_ns));
  return out;
}

// packetOpen(ns, ifindex, protocol, promiscuous, outgoing, queue, onFrames): Promise<socket>
Napi::Value Open(const Napi::CallbackInfo& info) {
  auto executor = ExecutorOf(info[0]);
  PacketOptions options;
  options.ifindex = Uint32Of(info[1]);
  options.protocol = static_cast<uint16_t>(Uint32Of(info[2]));
  options.promiscuous = info[3].ToBoolean();
  options.outgoing = info[4].ToBoolean();
  const uint32_t queue = Uint32Of(info[5]);
  if (!info[6].IsFunction()) throw Napi::TypeError::New(info.Env(), "not a function");
  auto listener = std::make_shared<PacketSocket::Listener>(info[6].As<Napi::Function>(), queue, FrameToJs);
  auto socket = std::make_shared<PacketSocket>(options, listener);
  return executor->Run<bool>(
      info.Env(),
      [raw = executor.get(), socket] {
        socket->Start(*raw);
        return true;
      },
      [socket](Napi::Env env, bool&) { return WrapHandle(env, kPacketTag, std::make_unique<Socket>(socket)); },
      [listener](Napi::Env) { listener->Forget(); });
}

Napi::Value Send(const Napi::CallbackInfo& info) {
  auto executor = ExecutorOf(info[0]);
  return executor->Run(info.Env(), [raw = executor.get(), socket = SocketOf(info[1]), frame = BytesOf(info[2])] {
    socket->Send(*raw, frame);
  });
}

// packetClose(ns, socket): no call after this one; resolves when the descriptor is closed
Napi::Value Close(const Napi::CallbackInfo& info) {
  auto executor = ExecutorOf(info[0]);
  Socket socket = SocketOf(info[1]);
  socket->listener().Forget();
  return executor->Run(info.Env(), [raw = executor.get(), socket] { socket->Stop(*raw); });
}

Napi::Value Dropped(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(SocketOf(info[0])->listener().dropped()));
}

}  // namespace

void InitPacket(Napi::Env, Napi::Object exports) {
  Export<Open>(exports, "packetOpen");
  Export<Send>(exports, "packetSend");
  Export<Close>(exports, "packetClose");
  Export<Dropped>(exports, "packetDropped");
}

}  // namespace pw
