// SPDX-License-Identifier: Apache-2.0
// Persistent taps.
#pragma once

#include <atomic>
#include <cstdint>

#include "link_change.h"

namespace pw {

// In the calling thread's namespace. Either the tap is there as asked for, or it is not there and this throws.
Created CreateTap(NetlinkSocket& socket, std::atomic<uint64_t>* writes, const LinkCreate& create);

}  // namespace pw
