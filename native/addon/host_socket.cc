// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include "error.h"
#include "fd.h"
#include "host.h"

namespace pw::host {

Credentials PeerCredentials(int fd) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  const std::string object = "fd " + std::to_string(fd);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0) {
    throw KernelError(errno, "SO_PEERCRED", object);
  }
  // Sockets that have no peer credentials, TCP among them, answer pid 0 and uid -1 instead of an error.
  if (credentials.pid == 0 && credentials.uid == static_cast<uid_t>(-1)) {
    throw KernelError(ENOTCONN, "SO_PEERCRED", object, "not a connected unix socket");
  }
  return {credentials.pid, credentials.uid, credentials.gid};
}

// sd_notify(3), "Notes": an absolute path, or '@' for a name in the abstract namespace.
void Notify(const std::string& address, const std::string& message) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (address.size() < 2 || (address[0] != '/' && address[0] != '@')) {
    throw KernelError(EINVAL, "sd_notify", address, "neither an absolute path nor an abstract name");
  }
  if (address.size() >= sizeof to.sun_path) throw KernelError(ENAMETOOLONG, "sd_notify", address);
  std::memcpy(to.sun_path, address.data(), address.size());
  socklen_t length = offsetof(sockaddr_un, sun_path) + address.size();
  if (address[0] == '@') {
    to.sun_path[0] = '\0';
  } else {
    length++;  // the terminating zero of a path counts, an abstract name has none
  }
  Fd socket_fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_fd) throw KernelError(errno, "socket", address);
  if (sendto(socket_fd.get(), message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&to), length) <
      0) {
    throw KernelError(errno, "sd_notify", address);
  }
}

}  // namespace pw::host
