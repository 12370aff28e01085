// SPDX-License-Identifier: Apache-2.0
// What concerns the host and no network namespace: bpffs mounts, unix credentials, sd_notify, the layout of bpf/abi.h.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <string>

namespace pw {

namespace host {

// host_mount.cc
bool IsBpffs(const std::string& path);
void MountBpffs(const std::string& directory);
void UnmountBpffs(const std::string& directory);

// host_lock.cc: the descriptor that holds the lock; EWOULDBLOCK if another process has it
int LockDirectory(const std::string& path);

// host_socket.cc
struct Credentials {
  int32_t pid;
  uint32_t uid, gid;
};
Credentials PeerCredentials(int fd);
void Notify(const std::string& address, const std::string& message);

// host_abi.cc
void EachAbiValue(const std::function<void(const char* name, uint64_t value)>& use);

}  // namespace host

void InitHost(Napi::Env env, Napi::Object exports);
void InitAccept(Napi::Env env, Napi::Object exports);  // host_accept.cc

}  // namespace pw
