// SPDX-License-Identifier: Apache-2.0
// Links between JavaScript and C++: the shapes of daemon/kernel/kernel.ts.
#pragma once

#include <napi.h>

#include "link.h"
#include "link_change.h"

namespace pw {

Napi::Value LinkToJs(Napi::Env env, const Link& link);  // a LinkRow of daemon/kernel/native-link.ts
LinkRef PeerRefFromJs(const Napi::Value& value);        // LinkRef | PeerRef

}  // namespace pw
